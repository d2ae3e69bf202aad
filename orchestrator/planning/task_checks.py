"""Checks the declaration of a task: its attributes, parameters, columns and methods.

``check_task`` runs whenever a task is loaded, so it calls none of the task's methods and imports
nothing heavy. The command ``check-task`` also runs the task.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_type_hints

from orchestrator.planning.params_checks import params_problems
from orchestrator.planning.space_checks import shown
from orchestrator.planning.suggestions import suggest
from orchestrator.planning.task_members import misnamed, missing, uncallable
from tasks.contract import Column, Metric, PerSampleMetric, RequestError, StoreError, Task

TEXTS = ("name", "version", "default_model", "default_data", "step_unit")


def check_task(task: object, name: str | None = None) -> None:
    """Check that an object is a valid task. ``name`` is the name under which it was found.

    Raises:
        RequestError: with the first problem, its place and fix, and the number of other problems.
    """
    found = problems(task, name)
    if found:
        others = len(found) - 1
        more = (
            f" ({others} more: `orchestrator check-task {name}` lists all)"
            if others and name
            else ""
        )
        shown_name = name or getattr(task, "name", type(task).__name__)
        where = "" if f"{os.sep}" in found[0] and ", line " in found[0] else f" ({place(task)})"
        raise RequestError(f"the task {shown_name!r}{where}: {found[0]}{more}")


def problems(task: object, name: str | None = None) -> list[str]:
    """Return all problems of a task's declaration, each with its fix."""
    if isinstance(task, type):
        return [
            f"TASK is the class {task.__name__}, not an instance; write TASK = {task.__name__}()"
        ]
    kind = type(task).__name__
    if not isinstance(task, Task):
        not_task = f"its class {kind} is not a subclass of Task; write `class {kind}(Task):`"
        return [f"{not_task}, with `from tasks.contract import Task`", *misnamed(task)]
    found = [*misnamed(task), *missing(task)]
    if found:
        return found
    for part in (_texts, _params, uncallable, _columns, _per_sample, _optional, _param_names):
        found += part(task)
    if name is not None and isinstance(task.name, str) and task.name != name:
        found.append(
            f"its name is {task.name!r}, but it is declared as {name!r}; use one name for both"
        )
    return found


def place(task: object) -> str:
    """Return the file and line of the task's class."""
    kind = task if isinstance(task, type) else type(task)
    try:
        return f"{inspect.getsourcefile(kind)}, line {inspect.getsourcelines(kind)[1]}"
    except (OSError, TypeError):  # the class has no source file
        return f"{kind.__module__}.{kind.__qualname__}"


def _texts(task: Any) -> Iterator[str]:
    for what in TEXTS:
        value = getattr(task, what)
        if not isinstance(value, str) or not value.strip():
            yield f"its {what} must be a non-empty string, but is {shown(value)}"


def _params(task: Any) -> Iterator[str]:
    for problem in params_problems(task.Params):
        where = f" ({place(task.Params)})" if isinstance(task.Params, type) else ""
        yield f"{problem}{where}"


def _columns(task: Any) -> list[str]:
    if not isinstance(task.metric, Metric):
        return [f"its metric must be a Metric, but is {shown(task.metric)}"]
    found = []
    if task.metric.direction not in ("maximize", "minimize"):
        found.append(
            f"direction of its metric must be maximize or minimize, but is "
            f"{shown(task.metric.direction)}"
        )
    problem = _item_problem(task.columns, Column)
    if problem:
        return [*found, f"its columns must be a tuple of Column, but {problem}"]
    params = sorted(f"param.{name}" for name in getattr(task.Params, "__dataclass_fields__", {}))
    keys = [column.key for column in task.columns]
    for column in task.columns:
        found += _column(column, params)
        if keys.count(column.key) > 1:
            found.append(f"two columns have the key {column.key!r}; remove one")
    main = f"metric.{task.metric.name}"
    if main not in keys:
        near = suggest(main, [key for key in keys if isinstance(key, str) and key[:7] == "metric."])
        found.append(f"its metric {task.metric.name!r} has no column ({main}); add it. {near}")
    return list(dict.fromkeys(found))


def _column(column: Column, params: list[str]) -> Iterator[str]:
    key, label = column.key, shown(column.label)
    if not isinstance(key, str) or not key.startswith(("param.", "metric.")):
        yield (
            f"the key of the column {label} must be param.<field of Params> or metric.<name>, "
            f"but is {shown(key)}"
        )
    elif key.startswith("param.") and key not in params:
        yield f"the column {label} names {key!r}, which is not a field of Params; " + suggest(
            key, params
        )
    for field, allowed in _allowed_values().items():
        if getattr(column, field) not in allowed:
            yield (
                f"{field} of the column {label} must be {', '.join(allowed[:-1])} or "
                f"{allowed[-1]}, but is {shown(getattr(column, field))}"
            )


@functools.cache
def _allowed_values() -> dict[str, tuple[Any, ...]]:
    """Return the values of the fields of a column that take only some."""
    hints = get_type_hints(Column)
    return {field: get_args(hints[field]) for field in ("format", "pick")}


def _per_sample(task: Any) -> list[str]:
    problem = _item_problem(task.per_sample, PerSampleMetric)
    if problem:
        return [f"its per_sample must be a tuple of PerSampleMetric, but {problem}"]
    from results.statistics.aggregation import MEAN, aggregation  # imports numpy

    found = []
    metrics = _metrics(task)
    for each in task.per_sample:
        if each.metric not in metrics:
            found.append(
                f"per_sample names the metric {each.metric!r}, which has no column; "
                + suggest(each.metric, metrics)
            )
        try:
            if each.aggregate != MEAN:
                aggregation(each.aggregate)
        except StoreError as error:
            found.append(f"aggregate of per_sample {each.metric!r}: {error}")
    return found


def _metrics(task: Any) -> list[str]:
    columns = task.columns if isinstance(task.columns, (tuple, list)) else ()
    keys = [column.key for column in columns if isinstance(column, Column)]
    return sorted(key[7:] for key in keys if isinstance(key, str) and key.startswith("metric."))


def _optional(task: Task) -> Iterator[str]:
    front: object = task.pareto_front
    if front is not None and not (
        isinstance(front, (tuple, list)) and len(front) == 2 and set(front) <= set(_metrics(task))
    ):
        yield f"its pareto_front must be two metrics of its columns, but is {shown(front)}"
    problem = _item_problem(task.other_metrics, Metric)
    if problem:
        yield f"its other_metrics must be a tuple of Metric, but {problem}"
    for metric in () if problem else task.other_metrics:
        if metric.name not in _metrics(task):
            yield (
                f"other_metrics names the metric {metric.name!r}, which has no column; "
                + suggest(metric.name, _metrics(task))
            )
    problem = _item_problem(task.shown_samples, str)
    if problem:
        yield f"its shown_samples must be a tuple of names, but {problem}"
    tolerance: object = task.tolerance
    if not isinstance(tolerance, (int, float)) or not 0 <= tolerance < 1:
        yield f"its tolerance must be at least 0 and below 1, but is {shown(tolerance)}"
    for what in ("shares_steps", "has_weights"):
        value = getattr(task, what)
        if not isinstance(value, bool):
            yield f"its {what} must be True or False, but is {shown(value)}"


def _param_names(task: Task) -> Iterator[str]:
    """Check the attributes that name fields of ``Params``."""
    fields = list(getattr(task.Params, "__dataclass_fields__", {}))

    def unknown(attribute: str, name: object) -> str:
        near = suggest(str(name), fields)
        return f"its {attribute} names {shown(name)}, which is not a field of Params; {near}"

    problem = _item_problem(task.scoring_params, str)
    if problem:
        yield f"its scoring_params must be a tuple of names, but {problem}"
    for name in () if problem else task.scoring_params:
        if name not in fields:
            yield unknown("scoring_params", name)
    length = task.schedule_length
    if length is not None and length not in fields:
        yield unknown("schedule_length", length)
    if not isinstance(task.metric_params, Mapping):
        yield f"its metric_params must be a dict, but are {shown(task.metric_params)}"
    else:
        for metric, param in task.metric_params.items():
            if param not in fields:
                yield unknown("metric_params", param)
            if metric not in _metrics(task):
                yield (
                    f"metric_params names the metric {shown(metric)}, which has no column; "
                    + suggest(str(metric), _metrics(task))
                )
    problem = _item_problem(task.example_params, Mapping)
    if problem:
        yield f"its example_params must be a tuple of dicts, but {problem}"
    for example in () if problem else task.example_params:
        for name in example:
            if name not in fields:
                yield unknown("example_params", name)


def _item_problem(value: object, kind: type) -> str:
    """Describe what is wrong with a tuple of items of one type; empty if it is valid."""
    if not isinstance(value, (tuple, list)):
        return f"are {shown(value)}; a tuple of one item is written (item,)"
    for item in value:
        if not isinstance(item, kind):
            return f"one is {shown(item)}"
    return ""
