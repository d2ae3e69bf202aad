"""Which curves there are of a trial or a sweep: lines over steps, gathered into charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from results.reading import Sweep, check_keys
from results.summary import format_plain
from tasks.contract import RequestError

Points = Sequence[tuple[float, float]]  # (at, value), in order of ``at``


@dataclass(kw_only=True)
class Chart:
    """Lines of one axis, by name."""

    label: str
    log: bool = False
    lines: dict[str, Points] = field(default_factory=dict)


def trial_charts(sweep: Sweep, trial: Mapping[str, Any]) -> list[Chart]:
    """The main metric's chart, then those that the task's columns name; two points at least."""
    steps = sweep.steps_of(trial["trial_id"])
    main = f"metric.{sweep.manifest['metric']['name']}"
    charts: dict[str, Chart] = {}
    for column in sorted(sweep.manifest["columns"], key=lambda column: column["key"] != main):
        name = column.get("chart") or (column["label"] if column["key"] == main else "")
        points = _points(steps, column)
        if not name or len(points) < 2:
            continue
        unit = " %" if column["format"] == "percent" else ""
        chart = Chart(label=f"{name}{unit}", log=column.get("log", False))
        charts.setdefault(name, chart).lines[column["label"]] = points
    return list(charts.values())


def sweep_charts(sweep: Sweep, trials: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Each chart that has one line of a trial, with a line for every trial.

    Raises:
        RequestError: if none of them has made two steps.
    """
    check_keys(sweep.path, sweep.manifest, {"params": dict})
    varying = [
        name for name in sweep.manifest["params"] if len({t[f"param.{name}"] for t in trials}) > 1
    ]
    several = len({t["seed"] for t in trials}) > 1
    charts: dict[str, Chart] = {}
    for trial in trials:
        words = [f"{name} {format_plain(trial[f'param.{name}'])}" for name in varying]
        words += [f"seed {trial['seed']}"] if several else []
        for own in trial_charts(sweep, trial):
            if len(own.lines) == 1:
                chart = charts.setdefault(own.label, Chart(label=own.label, log=own.log))
                (points,) = own.lines.values()
                chart.lines[", ".join(words) or trial["trial_id"][:8]] = points
    if not charts:
        raise RequestError(f"no trial of {sweep.manifest['name']} has two steps to draw a curve of")
    return list(charts.values())


def _points(steps: Sequence[Mapping[str, Any]], column: Mapping[str, Any]) -> Points:
    scale = 100 if column["format"] == "percent" else 1
    values = [(row["at"], row.get(column["key"])) for row in steps]
    return [(at, scale * v) for at, v in values if v is not None and math.isfinite(v)]
