"""Texts for trials, steps, stages and times in the live view."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from results.tables.summary import format_plain
from tasks.contract import Column, Scalar, Stage, Task, Trial, short_argument

SEED = "seed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """What distinguishes a trial from others: its parameters by name, and ``seed``."""

    values: Mapping[str, Scalar]

    @classmethod
    def of(cls, trial: Trial) -> Configuration:
        """Return a trial's configuration."""
        return cls(values={**trial.param_values(), SEED: trial.seed})


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlierTrial:
    """A trial of this sweep that an earlier run or another sweep has finished."""

    configuration: Configuration
    status: str
    value: float | None = None


class Labels:
    """Describes trials by the parameters that differ among the trials seen so far."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._order = [c.key[6:] for c in columns if c.key.startswith("param.")]
        self._seen: dict[str, set[Scalar]] = {}

    def see(self, configuration: Configuration) -> None:
        """Take a trial of the sweep into account."""
        for name, value in configuration.values.items():
            self._seen.setdefault(name, set()).add(value)

    def varying(self) -> list[str]:
        """Return the names that have several values, in the order of the task's columns, seed last.

        As long as nothing varies, as with the first trial of a search, returns all columns.
        """
        names = [name for name, values in self._seen.items() if len(values) > 1]
        return self._sorted(names or [*(n for n in self._order if n in self._seen), SEED])

    def describe(self, configuration: Configuration) -> str:
        """Describe a trial by everything that varies."""
        return _join(configuration, self.varying(), [configuration])

    def describe_among(
        self, configuration: Configuration, shown: Sequence[Configuration], width: int
    ) -> str:
        """Describe one of several trials that are shown together.

        The parameters that differ among the shown trials come first and are always included. The
        others that vary in the sweep follow as far as they fit into ``width``. If none differs
        among the shown trials, the first of the others is always included.
        """
        values: dict[str, set[Scalar]] = {}
        for each in shown:
            for name, value in each.values.items():
                values.setdefault(name, set()).add(value)
        names = self._sorted([name for name, found in values.items() if len(found) > 1])
        for name in self.varying():
            if name in names or name not in configuration.values:
                continue
            if names and len(_join(configuration, [*names, name], shown)) > width:
                break
            names.append(name)
        return _join(configuration, names, shown)

    def _sorted(self, names: Sequence[str]) -> list[str]:
        order = {name: position for position, name in enumerate(self._order)}
        order[SEED] = len(order) + len(self._seen)
        return sorted(names, key=lambda name: order.get(name, len(self._order)))


def _join(
    configuration: Configuration, names: Sequence[str], shown: Sequence[Configuration]
) -> str:
    parts = []
    for name in names:
        value = configuration.values[name]
        text = format_plain(value)
        others = {c.values[name] for c in shown if name in c.values} - {value}
        if any(format_plain(other) == text for other in others):
            text = str(value)  # with all digits, because rounding makes two values equal
        parts.append(f"{name}={text}")
    return " ".join(parts)


def varying_params(trials: Sequence[Trial], columns: Sequence[Column]) -> list[str]:
    """Return the parameters that differ among these trials, in the order of the columns."""
    values: dict[str, set[Any]] = {}
    for trial in trials:
        for name, value in trial.param_values().items():
            values.setdefault(name, set()).add(value)
    order: Mapping[str, int] = {c.key.removeprefix("param."): i for i, c in enumerate(columns)}
    names = [name for name, seen in values.items() if len(seen) > 1]
    return sorted(names, key=lambda name: order.get(name, len(order)))


def format_value(value: float, task: Task) -> str:
    """Format a value of the main metric as the tables print it."""
    column = next((c for c in task.columns if c.key == f"metric.{task.metric.name}"), None)
    kind = column.format if column else "number"
    return {"percent": f"{100 * value:.2f} %", "score": f"{value:.2f}"}.get(kind, f"{value:.4g}")


def format_metrics(metrics: Mapping[str, float], task: Task) -> str:
    """Format a step's main metric, or name and value of another if it has no main metric."""
    if task.metric.name in metrics:
        return format_value(float(metrics[task.metric.name]), task)
    name, value = next(iter(metrics.items()), ("", math.nan))
    return f"{name} {value:.4g}" if name else ""


def format_step(
    unit: str, total: float | None, at: float, share: float = 0, next_at: float | None = None
) -> str:
    """Format a trial's progress: ``epoch 2/3, 40 %`` or ``352/1449 images``.

    Args:
        unit: the task's ``step_unit``; a plural such as "images" is a count.
        total: ``at`` of the trial's last step; None if unknown.
        at: ``at`` of the last finished step; 0 before the first.
        share: the finished share of the current step, 0 to 1.
        next_at: ``at`` of the current step; None for ``at + 1``.
    """
    done = f", {math.floor(100 * share)} %" if share > 0 else ""
    of = "" if total is None else f"/{total:g}"
    if unit.endswith("s"):
        reached = at if next_at is None else math.floor(at + share * (next_at - at))
        return f"{reached:g}{of} {unit}{done if next_at is None else ''}"
    if total == 0:
        return f"0 {unit}s{done}"
    if total is not None and at >= total:
        return f"{unit} {at:g}{of}"
    following = at + 1 if next_at is None else next_at
    current = min(following, math.floor(at + share * (following - at)) + 1)
    return f"{unit} {current:g}{of}{done}"


def format_duration(seconds: float) -> str:
    """Format seconds: 75 as ``1:15``, 3675 as ``1:01:15``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_time_left(seconds: float | None) -> str:
    """Format ``about 1:20 left``, rounded to 5 s above a minute and to 1 min above ten minutes."""
    if seconds is None:
        return ""
    unit = 60 if seconds >= 600 else 5 if seconds >= 60 else 1
    return f"about {format_duration(unit * max(1, math.ceil(seconds / unit - 0.5)))} left"


def format_stage(stage: Stage, others: Sequence[Stage]) -> str:
    """Describe a stage by its function and the arguments in which it differs from ``others``."""
    alike = [other for other in others if other.function == stage.function]
    names = [
        name
        for name, value in stage.args.items()
        if any(other.args.get(name) != value for other in alike)
    ]
    shown = ", ".join(f"{name}={short_argument(stage.args[name])}" for name in names)
    return f"{stage.function.__name__}({shown})" if shown else stage.function.__name__
