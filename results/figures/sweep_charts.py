"""Charts of a sweep, with a line for each of the best configurations and a band over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.figures.charts import (
    ID_DIGITS,
    Chart,
    charts_of,
    describe,
    param_names,
    rank,
    sweep_title,
)
from results.storage.reading import Sweep
from results.tables.cell_text import short_ids
from tasks.contract import RequestError

MAX_LINES = 8  # more lines are hard to distinguish
MAX_REFERENCES = 2  # maximum dashed lines, of configurations with a single value
MAX_READ = 256  # maximum trials whose steps are read
MAX_NAMED = 4  # maximum configurations that a note lists by id

Row = Mapping[str, Any]


@dataclass(kw_only=True)
class _Configuration:
    """The trials of one configuration, one per seed, and their charts of one line each."""

    trials: list[Row]
    charts: list[Chart]

    @property
    def name(self) -> str:
        return short_ids([trial["trial_id"] for trial in self.trials], ID_DIGITS)


def sweep_charts(sweep: Sweep, trials: Sequence[Row]) -> list[Chart]:
    """Return every chart that has one line per trial, with the lines of the best configurations.

    The line of several seeds is their mean, with a band from the lowest to the highest value. A
    configuration that finished with a single value is shown as a reference level.

    Raises:
        RequestError: if no trial has two steps.
    """
    ranked = _rank_configurations(sweep, [row for row in trials if row["num_steps"] != 0])
    curves, levels, rest = _choose(sweep, ranked)
    if not curves:
        raise RequestError(f"no trial of {sweep.manifest.name} has two steps to draw a curve of")
    drawn = [*curves, *levels]
    labels, shared = _labels(sweep, drawn)
    charts: dict[str, Chart] = {}
    for configuration, label in zip(drawn, labels, strict=True):
        for own in configuration.charts:
            chart = charts.setdefault(own.label, Chart(label=own.label, log=own.log))
            (chart.lines[label],) = own.lines.values()
            for band in own.bands.values():
                chart.bands[label] = band
    notes = [*_choice_notes(curves, levels, ranked, rest), shared]
    for chart in charts.values():
        alone = f", trial {drawn[0].name}" if len(drawn) == 1 else ""  # it has no legend
        chart.title, chart.notes = f"{sweep_title(sweep)}{alone}", [note for note in notes if note]
    return [chart for chart in charts.values() if any(len(p) > 1 for p in chart.lines.values())]


def _rank_configurations(sweep: Sweep, trials: Sequence[Row]) -> list[list[Row]]:
    """Return the trials of each configuration by seed, the best mean first.

    Only the trials of a configuration with the best status count, such as finished ones.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    names = param_names(sweep)
    for row in trials:
        params = [row[f"param.{name}"] for name in names]
        key = (row["model_fingerprint"], row["data_fingerprint"], *map(repr, params))
        groups.setdefault(key, []).append(row)
    main = sweep.manifest.main_key
    means = []
    for group in groups.values():
        best = rank(sweep, group)[0]["status"]
        same = sorted((row for row in group if row["status"] == best), key=lambda row: row["seed"])
        values = [np.nan if row.get(main) is None else row[main] for row in same]
        means.append((same, {**same[0], main: float(np.mean(values))}))
    by_id = {mean["trial_id"]: same for same, mean in means}
    return [by_id[row["trial_id"]] for row in rank(sweep, [mean for _, mean in means])]


def _choose(
    sweep: Sweep, ranked: Sequence[Sequence[Row]]
) -> tuple[list[_Configuration], list[_Configuration], list[_Configuration]]:
    """Return the best configurations with a curve, the best with a level, and the others."""
    curves: list[_Configuration] = []
    levels: list[_Configuration] = []
    rest: list[_Configuration] = []
    num_read = 0
    for trials in ranked:
        found = _Configuration(trials=list(trials), charts=[])
        is_short = max(trial["num_steps"] for trial in trials) == 1
        finished = trials[0]["status"] == "finished"
        full = len(levels) >= MAX_REFERENCES if is_short else len(curves) >= MAX_LINES
        if full or (is_short and not finished) or num_read >= MAX_READ:
            rest.append(found)
            continue
        num_read += len(trials)
        found.charts = _mean_charts(sweep, trials)
        lengths = [len(points) for chart in found.charts for points in chart.lines.values()]
        if max(lengths, default=0) > 1:
            curves.append(found)
        elif lengths and finished and len(levels) < MAX_REFERENCES:
            levels.append(found)
        else:
            rest.append(found)
    return curves, levels, rest


def _mean_charts(sweep: Sweep, trials: Sequence[Row]) -> list[Chart]:
    """Return the charts with one line, as means over trials at their common steps."""
    of_each = [
        {chart.label: chart for chart in charts_of(sweep, trial) if len(chart.lines) == 1}
        for trial in trials
    ]
    found = []
    for label, first in of_each[0].items():
        if not all(label in charts for charts in of_each):
            continue
        (name,) = first.lines
        curves = [dict(points) for c in of_each for points in c[label].lines.values()]
        steps = sorted(set.intersection(*(set(curve) for curve in curves)))
        values = [[curve[at] for curve in curves] for at in steps]
        means = [(at, float(np.mean(each))) for at, each in zip(steps, values, strict=True)]
        mean = Chart(label=label, log=first.log, lines={name: means})
        if len(curves) > 1:
            ranges = zip(steps, values, strict=True)
            mean.bands[name] = [(at, min(each), max(each)) for at, each in ranges]
        if steps:
            found.append(mean)
    return found


def _choice_notes(
    curves: Sequence[_Configuration],
    levels: Sequence[_Configuration],
    ranked: Sequence[Sequence[Row]],
    rest: Sequence[_Configuration],
) -> list[str]:
    """Say which configurations are drawn, and how."""
    parts = []
    several = any(len(trials) > 1 for trials in ranked)
    if len(curves) == MAX_LINES and len(ranked) > len(curves) + len(levels):
        what = "configurations" if several else "trials"
        parts.append(f"The best {MAX_LINES} of {len(ranked)} {what}.")
    elif rest:
        names = ", ".join(one.name for one in rest[:MAX_NAMED])
        more = f" and {len(rest) - MAX_NAMED} more" if len(rest) > MAX_NAMED else ""
        parts.append(f"Not drawn, because they have fewer than two values: {names}{more}.")
    if any(chart.bands for one in curves for chart in one.charts):
        parts.append("Lines are means over seeds; bands span the lowest and the highest seed.")
    if levels:
        parts.append("Dashed: a trial's only value.")
    return [" ".join(parts)]


def _labels(sweep: Sweep, drawn: Sequence[_Configuration]) -> tuple[list[str], str]:
    """Return a label for each configuration, and a sentence with their common parameters."""
    first = drawn[0].trials[0]
    names = param_names(sweep)
    values = {n: {repr(one.trials[0][f"param.{n}"]) for one in drawn} for n in names}
    common = [name for name in names if len(values[name]) == 1]
    seeds = [[trial["seed"] for trial in one.trials] for one in drawn]
    differ = any(each != seeds[0] for each in seeds)
    labels = []
    for one, own in zip(drawn, seeds, strict=True):
        words = describe(one.trials[0], [name for name in names if name not in common])
        words += [_seeds(own)] if differ else []
        status = one.trials[0]["status"]
        state = "" if status == "finished" else f" ({status})"
        labels.append(f"{one.name}  {', '.join(words)}{state}".rstrip())
    words = describe(first, common) + ([] if differ else [_seeds(seeds[0])])
    return labels, f"All: {', '.join(words)}." if words else ""


def _seeds(seeds: Sequence[int]) -> str:
    """Return ``seed 3``, or ``seeds 0, 1, 2``."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
