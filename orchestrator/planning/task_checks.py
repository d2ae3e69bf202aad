"""Whether an object is a task: its attributes, its parameters, its columns, its methods.

``check_task`` runs whenever a task is loaded, so it calls none of the task's methods and imports
nothing heavy. ``orchestrator check-task`` goes on from here and runs the task.
"""

from __future__ import annotations

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
    """Refuse what is not a task; ``name`` is the one it was asked for by.

    Raises:
        RequestError: with the first problem, where it is, its fix, and how many others there are.
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
    """All that is wrong with a task's declaration, each with its fix."""
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
    """The file and line of the task's class."""
    kind = task if isinstance(task, type) else type(task)
    try:
        return f"{inspect.getsourcefile(kind)}, line {inspect.getsourcelines(kind)[1]}"
    except (OSError, TypeError):  # defined without a file, or no class of Python
        return f"{kind.__module__}.{kind.__qualname__}"


def _texts(task: Any) -> Iterator[str]:
    for what in TEXTS:
        value = getattr(task, what)
        if not isinstance(value, str) or not value.strip():
            yield f"its {what} must be text that is not empty, but is {shown(value)}"


def _params(task: Any) -> Iterator[str]:
    where = f" ({place(task.Params)})" if isinstance(task.Params, type) else ""
    yield from (f"{problem}{where}" for problem in params_problems(task.Params))


def _columns(task: Any) -> list[str]:
    if not isinstance(task.metric, Metric):
        return [f"its metric must be a Metric, but is {shown(task.metric)}"]
    found = []
    if task.metric.direction not in ("maximize", "minimize"):
        found.append(
            f"direction of its metric must be maximize or minimize, but is "
            f"{shown(task.metric.direction)}"
        )
    wrong = not_all(task.columns, Column)
    if wrong:
        return [*found, f"its columns must be a tuple of Column, but {wrong}"]
    params = sorted(f"param.{name}" for name in getattr(task.Params, "__dataclass_fields__", {}))
    keys = [column.key for column in task.columns]
    for column in task.columns:
        found += _column(column, params)
        if keys.count(column.key) > 1:
            found.append(f"two columns have the key {column.key!r}; remove one")
    main = f"metric.{task.metric.name}"
    if main not in keys:
        near = suggest(main, [key for key in keys if isinstance(key, str) and key[:7] == "metric."])
        found.append(f"its metric {task.metric.name!r} is no column ({main}); add it. {near}")
    return list(dict.fromkeys(found))


def _column(column: Column, params: list[str]) -> Iterator[str]:
    key, label = column.key, shown(column.label)
    if not isinstance(key, str) or not key.startswith(("param.", "metric.")):
        yield (
            f"the key of the column {label} must be param.<field of Params> or metric.<name>, "
            f"but is {shown(key)}"
        )
    elif key.startswith("param.") and key not in params:
        yield f"the column {label} names {key!r}, which is no field of Params; " + suggest(
            key, params
        )
    for field in ("format", "pick"):
        allowed = get_args(get_type_hints(Column)[field])
        if getattr(column, field) not in allowed:
            yield (
                f"{field} of the column {label} must be {', '.join(allowed[:-1])} or "
                f"{allowed[-1]}, but is {shown(getattr(column, field))}"
            )


def _per_sample(task: Any) -> list[str]:
    wrong = not_all(task.per_sample, PerSampleMetric)
    if wrong:
        return [f"its per_sample must be a tuple of PerSampleMetric, but {wrong}"]
    from results.statistics.aggregation import MEAN, aggregation  # imports numpy

    found = []
    metrics = _metrics(task)
    for each in task.per_sample:
        if each.metric not in metrics:
            found.append(
                f"per_sample names the metric {each.metric!r}, which is no column; "
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
    wrong = not_all(task.shown_samples, str)
    if wrong:
        yield f"its shown_samples must be a tuple of names, but {wrong}"
    tolerance: object = task.tolerance
    if not isinstance(tolerance, (int, float)) or not 0 <= tolerance < 1:
        yield f"its tolerance must be a number from 0 to below 1, but is {shown(tolerance)}"
    for what in ("shares_steps", "has_weights"):
        value = getattr(task, what)
        if not isinstance(value, bool):
            yield f"its {what} must be True or False, but is {shown(value)}"


def _param_names(task: Task) -> Iterator[str]:
    """Attributes that name fields of ``Params``."""
    fields = list(getattr(task.Params, "__dataclass_fields__", {}))
    wrong = not_all(task.scoring_params, str)
    if wrong:
        yield f"its scoring_params must be a tuple of names, but {wrong}"
    for name in () if wrong else task.scoring_params:
        if name not in fields:
            yield f"its scoring_params name {name!r}, no field of Params; " + suggest(name, fields)
    length = task.schedule_length
    if length is not None and length not in fields:
        yield (
            f"its schedule_length {shown(length)} is no field of Params; "
            + suggest(str(length), fields)
        )
    wrong = not_all(task.example_params, Mapping)
    if wrong:
        yield f"its example_params must be a tuple of dicts, but {wrong}"
    for example in () if wrong else task.example_params:
        for name in example:
            if name not in fields:
                yield f"example_params names {name!r}, no field of Params; " + suggest(name, fields)


def not_all(value: object, kind: type) -> str:
    """What is wrong with a tuple whose items must be of one type; empty if nothing is."""
    if not isinstance(value, (tuple, list)):
        return f"are {shown(value)}; for a single one write (item,) with its comma"
    for item in value:
        if not isinstance(item, kind):
            return f"one is {shown(item)}"
    return ""
