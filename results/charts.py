"""Which curves there are of a trial or a sweep: lines over steps, gathered into charts."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from results.reading import Sweep, check_keys
from results.schema import STATUSES
from results.summary import format_plain
from tasks.contract import RequestError

Points = Sequence[tuple[float, float]]  # (at, value), in order of ``at``

MAX_LINES = 8  # more cannot be distinguished
MAX_REFERENCES = 2  # dashed lines of trials that have one value, beside the curves
MAX_READ = 256  # trials whose steps are read in search of curves, the best ones
MAX_NAMED = 4  # trials that a note lists by id
_MAX_VALUE = 24  # characters of a parameter's value in a legend
_ID = 8  # characters of a trial's id


@dataclass(kw_only=True)
class Chart:
    """Lines of one axis, by name; a line of a single point is a level to compare with."""

    label: str  # of the values, with their unit
    log: bool = False
    lines: dict[str, Points] = field(default_factory=dict)
    title: str = ""
    notes: list[str] = field(default_factory=list)  # which lines these are, and what they share


def trial_charts(sweep: Sweep, trial: Mapping[str, Any]) -> list[Chart]:
    """The main metric's chart, then those that the task's columns name; two points at least."""
    charts = [chart for chart in _charts(sweep, trial) if max(map(len, chart.lines.values())) > 1]
    shared = _describe(trial, _names(sweep))
    for chart in charts:
        chart.lines = {name: points for name, points in chart.lines.items() if len(points) > 1}
        chart.title = f"{sweep_title(sweep)}, trial {short_id(trial)}"
        chart.notes = [", ".join([*shared, f"seed {trial['seed']}"])]
    return charts


def _charts(sweep: Sweep, trial: Mapping[str, Any]) -> list[Chart]:
    """The charts of a trial, also those of one point."""
    steps = sweep.steps_of(trial["trial_id"])
    main = f"metric.{sweep.manifest['metric']['name']}"
    charts: dict[str, Chart] = {}
    for column in sorted(sweep.manifest["columns"], key=lambda column: column["key"] != main):
        name = column.get("chart") or (column["label"] if column["key"] == main else "")
        points = _points(steps, column)
        if name and points:
            unit = " (%)" if column["format"] == "percent" else ""
            chart = Chart(label=f"{name}{unit}", log=column.get("log", False))
            charts.setdefault(name, chart).lines[column["label"]] = points
    return list(charts.values())


def sweep_charts(sweep: Sweep, trials: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Each chart that has one line of a trial, with the lines of the best trials.

    A trial that finished with a single value is a level to compare with, not a curve.

    Raises:
        RequestError: if none of the trials has made two steps.
    """
    check_keys(sweep.path, sweep.manifest, {"params": dict})
    ranked = [trial for trial in rank(sweep, trials) if trial["num_steps"] != 0]
    curves, levels, rest = _choose(sweep, ranked)
    if not curves:
        raise RequestError(f"no trial of {sweep.manifest['name']} has two steps to draw a curve of")
    drawn = [trial for trial, _ in (*curves, *levels)]
    labels, shared = _labels(sweep, drawn)
    charts: dict[str, Chart] = {}
    for trial, found in (*curves, *levels):
        for own in found:
            chart = charts.setdefault(own.label, Chart(label=own.label, log=own.log))
            (chart.lines[labels[trial["trial_id"]]],) = own.lines.values()
    notes = [_choice_note(curves, levels, ranked, rest), shared]
    for chart in charts.values():
        alone = f", trial {short_id(drawn[0])}" if len(drawn) == 1 else ""  # it has no legend
        chart.title, chart.notes = f"{sweep_title(sweep)}{alone}", [note for note in notes if note]
    return [chart for chart in charts.values() if any(len(p) > 1 for p in chart.lines.values())]


_Chosen = list[tuple[Mapping[str, Any], list[Chart]]]


def _choose(
    sweep: Sweep, ranked: Sequence[Mapping[str, Any]]
) -> tuple[_Chosen, _Chosen, list[Mapping[str, Any]]]:
    """The best trials with a curve, the best with a level, and those that have neither."""
    curves: _Chosen = []
    levels: _Chosen = []
    rest: list[Mapping[str, Any]] = []
    num_read = 0
    for trial in ranked:
        is_short, finished = trial["num_steps"] == 1, trial["status"] == "finished"
        full = len(levels) >= MAX_REFERENCES if is_short else len(curves) >= MAX_LINES
        if full or (is_short and not finished) or num_read >= MAX_READ:
            rest.append(trial)
            continue
        num_read += 1
        charts = [chart for chart in _charts(sweep, trial) if len(chart.lines) == 1]
        lengths = [len(points) for chart in charts for points in chart.lines.values()]
        if max(lengths, default=0) > 1:
            curves.append((trial, charts))
        elif lengths and finished and len(levels) < MAX_REFERENCES:
            levels.append((trial, charts))
        else:
            rest.append(trial)
    return curves, levels, rest


def _choice_note(
    curves: _Chosen,
    levels: _Chosen,
    ranked: Sequence[Mapping[str, Any]],
    rest: Sequence[Mapping[str, Any]],
) -> str:
    parts = []
    if len(curves) == MAX_LINES and len(ranked) > len(curves) + len(levels):
        parts.append(f"The best {MAX_LINES} of {len(ranked)} trials.")
    elif rest:
        names = ", ".join(map(short_id, rest[:MAX_NAMED]))
        more = f" and {len(rest) - MAX_NAMED} more" if len(rest) > MAX_NAMED else ""
        parts.append(f"Not drawn, because they have one step only: {names}{more}.")
    if levels:
        parts.append("Dashed: a trial's only value.")
    return " ".join(parts)


def rank(sweep: Sweep, trials: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The best trials first: those that finished, then stopped ones, then failed ones."""
    metric = sweep.manifest["metric"]
    sign = -1 if metric["direction"] == "maximize" else 1

    def order(row: Mapping[str, Any]) -> tuple[int, float, str]:
        value = row.get(f"metric.{metric['name']}")
        place = math.inf if value is None or math.isnan(value) else sign * value
        return STATUSES.index(row["status"]), place, row["trial_id"]

    return sorted(trials, key=order)


# --- names ----------------------------------------------------------------------------------------


def _labels(sweep: Sweep, trials: Sequence[Mapping[str, Any]]) -> tuple[dict[str, str], str]:
    """What distinguishes each trial, and one sentence on what they all share."""
    names = _names(sweep)
    common = [n for n in names if len({repr(t[f"param.{n}"]) for t in trials}) == 1]
    several = len({trial["seed"] for trial in trials}) > 1
    labels = {}
    for trial in trials:
        words = _describe(trial, [name for name in names if name not in common])
        words += [f"seed {trial['seed']}"] if several else []
        state = "" if trial["status"] == "finished" else f" ({trial['status']})"
        labels[trial["trial_id"]] = f"{short_id(trial)}  {', '.join(words)}{state}".rstrip()
    words = _describe(trials[0], common)
    words += [] if several else [f"seed {trials[0]['seed']}"]
    return labels, f"All: {', '.join(words)}." if words else ""


def _names(sweep: Sweep) -> list[str]:
    """The parameters, those that differ in the sweep first."""
    names = list(sweep.manifest.get("params", ()))
    values = {name: {repr(row[f"param.{name}"]) for row in sweep.rows()} for name in names}
    return sorted(names, key=lambda name: len(values[name]) < 2)


def _describe(trial: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """``lr 1e-3`` of each parameter that has a value."""
    values = {name: trial[f"param.{name}"] for name in names}
    return [f"{name} {_value(value)}" for name, value in values.items() if value is not None]


def _value(value: Any) -> str:
    text = " ".join(format_plain(value).split())
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"


def sweep_title(sweep: Sweep) -> str:
    """``task/name``."""
    return f"{sweep.manifest['task']}/{sweep.manifest['name']}"


def short_id(trial: Mapping[str, Any]) -> str:
    """The beginning of a trial's id, as tables show it."""
    return str(trial["trial_id"])[:_ID]


def wrap(text: str, width: int, most: int = 100) -> list[str]:
    """Lines of at most ``width`` characters; what does not fit into ``most`` lines is cut off."""
    lines = textwrap.wrap(text, width, break_on_hyphens=False)
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1][: width - 1].rstrip(' ,')}…"]
    return lines


def _points(steps: Sequence[Mapping[str, Any]], column: Mapping[str, Any]) -> Points:
    scale = 100 if column["format"] == "percent" else 1
    values = [(row["at"], row.get(column["key"])) for row in steps]
    return [(at, scale * v) for at, v in values if v is not None and math.isfinite(v)]
