"""A request whose space is a YAML file: what the file says and the request leaves open."""

from __future__ import annotations

import dataclasses
from typing import Any

from orchestrator.functions.finding import is_reference
from orchestrator.planning.space_file import SpaceFile, is_space_file, read_space_file
from orchestrator.request import Request
from tasks.contract import RequestError, Task


def read_space_of(request: Request) -> Request:
    """The request with its YAML file read. An option of the request overrides the file.

    Raises:
        RequestError: if the file cannot be read or is no space.
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
    """Refuse a metric of the file that is not the task's: tables and searches use the task's.

    Raises:
        RequestError: if it is another.
    """
    if file.metric is None:
        return
    maximize = task.metric.direction == "maximize"
    if (file.metric, file.maximize) != (task.metric.name, maximize):
        raise RequestError(
            f"{file.path}: the metric is {file.metric!r}, but {task.name} is judged by "
            f"{task.metric.name!r}; write metric: {{name: {task.metric.name}, "
            f"goal: {task.metric.direction}}}"
        )
