"""Completes a request with the options in its YAML space file."""

from __future__ import annotations

import dataclasses
from typing import Any

from orchestrator.functions.finding import is_reference
from orchestrator.planning.space_file import SpaceFile, is_space_file, read_space_file
from orchestrator.request import Request
from tasks.contract import RequestError, Task


def read_space_of(request: Request) -> Request:
    """Return the request with its YAML space file read. Options of the request take precedence.

    Raises:
        RequestError: if the file cannot be read or is not a space.
    """
    if not is_space_file(request.space):
        return request
    assert isinstance(request.space, str)
    file = read_space_file(request.space)
    changes: dict[str, Any] = {"space": file}
    method = "random" if file.method == "random" else None
    for name, value in (("trials", file.trials), ("sampler", method), ("pruner", file.pruner)):
        if value is not None and name not in request.given and file.method != "grid":
            changes[name] = value
    if file.seeds is not None and request.seeds == 1:
        changes["seeds"] = file.seeds
    is_function = callable(request.task) or (
        isinstance(request.task, str) and is_reference(request.task)
    )
    if is_function and request.metric is None and file.metric is not None:
        changes |= {"metric": file.metric, "maximize": file.maximize}
    return dataclasses.replace(request, **changes)


def check_metric(file: SpaceFile, task: Task) -> None:
    """Check that the file's metric is the task's, which tables and searches use.

    Raises:
        RequestError: if it is another metric or direction.
    """
    if file.metric is None:
        return
    maximize = task.metric.direction == "maximize"
    if (file.metric, file.maximize) != (task.metric.name, maximize):
        raise RequestError(
            f"{file.path}: the metric is {file.metric!r}, but the metric of {task.name} is "
            f"{task.metric.name!r}; write metric: {{name: {task.metric.name}, "
            f"goal: {task.metric.direction}}}"
        )
