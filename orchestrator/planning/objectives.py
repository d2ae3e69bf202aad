"""The metrics that a search optimizes together: ``--metric NAME --metric NAME``, or METRICS."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.planning.space_checks import shown
from orchestrator.planning.suggestions import suggest
from tasks.contract import RequestError, Task

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """A metric and the direction in which it is better."""

    name: str
    direction: Direction


def split_metric(text: str) -> tuple[str, Direction | None]:
    """Return the name and the direction of ``NAME``, ``NAME:maximize`` or ``NAME:minimize``.

    Raises:
        RequestError: if the direction is another word.
    """
    name, colon, direction = text.partition(":")
    if not colon:
        return name, None
    if direction == "maximize":
        return name, "maximize"
    if direction == "minimize":
        return name, "minimize"
    raise RequestError(
        f"--metric takes NAME, NAME:maximize or NAME:minimize, but got {shown(text)}"
    )


def choose_metric(task: Task, text: str) -> Task:
    """Return the task with ``--metric NAME`` as its main metric.

    Raises:
        RequestError: if the task does not offer the metric, or not in the given direction.
    """
    name, direction = split_metric(text)
    known = {each.name: each for each in (task.metric, *task.other_metrics)}
    if name not in known:
        raise RequestError(
            f"--metric: the tables of {task.name} cannot be sorted by {name!r}; "
            f"{suggest(name, sorted(known))}"
        )
    if direction not in (None, known[name].direction):
        raise RequestError(
            f"--metric {text}: {task.name} {known[name].direction}s {name}; write --metric {name}"
        )
    chosen = copy.copy(task)
    vars(chosen)["metric"] = known[name]  # a class attribute of ``Task``
    return chosen


def read_objectives(given: Sequence[str], task: Task, source: str) -> tuple[Objective, ...]:
    """Return the metrics that a search optimizes, the task's main metric first.

    Args:
        given: a text for each metric, as ``split_metric`` takes it.
        task: the task, which knows the direction of some of its metrics.
        source: what gave them, for errors: ``--metric``, or the name of a space file.

    Raises:
        RequestError: if the task does not have a metric, does not know its direction, or its main
            metric is missing.
    """
    known = {
        column.key.removeprefix("metric."): column.label
        for column in task.columns
        if column.key.startswith("metric.")
    }
    found: dict[str, Objective] = {}
    for text in given:
        name, direction = split_metric(text)
        if name not in known:
            raise RequestError(
                f"{source}: {task.name} has no metric {name!r}; {suggest(name, sorted(known))}"
            )
        if name in found:
            raise RequestError(f"{source} names the metric {name} twice; remove one of them")
        found[name] = Objective(name=name, direction=direction or _direction(name, task, source))
    main = task.metric.name
    if main not in found:
        raise RequestError(
            f"{source} must include {main}, the main metric of {task.name}, which sorts its "
            f"tables; add --metric {main}"
        )
    return (found.pop(main), *found.values())


def _direction(name: str, task: Task, source: str) -> Direction:
    for each in (task.metric, *task.other_metrics):
        if name == each.name:
            return each.direction
    if name in (task.pareto_front or ()):
        return "maximize"
    raise RequestError(
        f"{source} does not say whether a higher {name} is better; write {name}:maximize or "
        f"{name}:minimize"
    )


def describe_objectives(objectives: Sequence[Objective]) -> str:
    """Return ``a:maximize,b:minimize``."""
    return ",".join(f"{each.name}:{each.direction}" for each in objectives)
