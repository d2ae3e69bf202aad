"""Charts of one trial, with lines over steps. ``sweep_charts.py`` has those of a sweep."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from results.storage.reading import Sweep
from results.storage.schema import STATUSES
from results.tables.summary import format_plain
from tasks.contract import Column

Points = Sequence[tuple[float, float]]  # (at, value), in order of ``at``
Band = Sequence[tuple[float, float, float]]  # (at, low, high), in order of ``at``

_MAX_VALUE = 24  # maximum characters of a parameter's value in a legend
ID_DIGITS = 8  # number of digits of a trial's id


@dataclass(kw_only=True)
class Chart:
    """Lines on one axis, by name. A line with a single point is a reference level."""

    label: str  # of the values, with their unit
    log: bool = False
    lines: dict[str, Points] = field(default_factory=dict)
    bands: dict[str, Band] = field(default_factory=dict)  # for lines that are means over seeds
    title: str = ""
    notes: list[str] = field(default_factory=list)  # which lines are shown, and common parameters


def trial_charts(sweep: Sweep, trial: Mapping[str, Any]) -> list[Chart]:
    """Return the charts of the main metric and of the task's columns, with at least two points."""
    charts = [chart for chart in charts_of(sweep, trial) if max(map(len, chart.lines.values())) > 1]
    shared = describe(trial, param_names(sweep))
    for chart in charts:
        chart.lines = {name: points for name, points in chart.lines.items() if len(points) > 1}
        chart.title = f"{sweep_title(sweep)}, trial {short_id(trial)}"
        chart.notes = [", ".join([*shared, f"seed {trial['seed']}"])]
    return charts


def charts_of(sweep: Sweep, trial: Mapping[str, Any]) -> list[Chart]:
    """Return the charts of a trial, including those with a single point."""
    steps = sweep.steps_of(trial["trial_id"])
    main = sweep.manifest.main_key
    charts: dict[str, Chart] = {}
    for column in sorted(sweep.manifest.columns, key=lambda column: column.key != main):
        name = column.chart or (column.label if column.key == main else "")
        points = _points(steps, column)
        if name and points:
            unit = " (%)" if column.format == "percent" else ""
            chart = Chart(label=f"{name}{unit}", log=column.log)
            charts.setdefault(name, chart).lines[column.label] = points
    return list(charts.values())


def rank(sweep: Sweep, trials: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Sort trials, best first: finished ones, then stopped ones, then failed ones."""
    manifest = sweep.manifest
    sign = -1 if manifest.maximize else 1

    def order(row: Mapping[str, Any]) -> tuple[int, float, str]:
        value = row.get(manifest.main_key)
        key = math.inf if value is None or math.isnan(value) else sign * value
        return STATUSES.index(row["status"]), key, row["trial_id"]

    return sorted(trials, key=order)


# --- names ----------------------------------------------------------------------------------------


def param_names(sweep: Sweep) -> list[str]:
    """Return the parameter names, those that vary in the sweep first."""
    names = list(sweep.manifest.params)
    values = {name: {repr(row[f"param.{name}"]) for row in sweep.rows()} for name in names}
    return sorted(names, key=lambda name: len(values[name]) < 2)


def describe(trial: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return ``lr 1e-3`` for each parameter that has a value."""
    values = {name: trial[f"param.{name}"] for name in names}
    return [f"{name} {_value(value)}" for name, value in values.items() if value is not None]


def _value(value: Any) -> str:
    text = " ".join(format_plain(value).split())
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"


def sweep_title(sweep: Sweep) -> str:
    """Return ``task/name``."""
    return sweep.manifest.full_name


def short_id(trial: Mapping[str, Any]) -> str:
    """Return the start of a trial's id, as in tables."""
    return str(trial["trial_id"])[:ID_DIGITS]


def wrap(text: str, width: int, max_lines: int = 100) -> list[str]:
    """Wrap text to ``width`` characters and truncate it to ``max_lines`` lines."""
    lines = textwrap.wrap(text, width, break_on_hyphens=False)
    if len(lines) > max_lines:
        lines = [*lines[: max_lines - 1], f"{lines[max_lines - 1][: width - 1].rstrip(' ,')}…"]
    return lines


def _points(steps: Sequence[Mapping[str, Any]], column: Column) -> Points:
    scale = 100 if column.format == "percent" else 1
    values = [(row["at"], row.get(column.key)) for row in steps]
    return [(at, scale * v) for at, v in values if v is not None and math.isfinite(v)]
