"""Two sweeps cell by cell: the same configurations and seeds, their metrics and their samples."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from results.details import DetailTable
from results.reading import Sweep
from results.summary import format_plain
from results.trial_cells import compare_metrics, compare_samples, samples_by_trial
from results.words import plural
from tasks.contract import RequestError

MAX_SHOWN = 20  # differences that are listed; the rest is counted
_Trials = Mapping[tuple[str, int], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class CellComparison:
    """What differs between two sweeps, and how much was compared."""

    table: DetailTable  # the first differences, as text
    num_differences: int
    num_trials: int
    num_cells: int


def compare_cells(
    first: Sweep, second: Sweep, names: tuple[str, str], tolerance: float = 0.0
) -> CellComparison:
    """Every metric and sample of every configuration and seed, in both sweeps.

    Numbers are equal if they differ by at most ``tolerance``, or by that share of the larger one.
    A trial that only one sweep has is a difference. Times are not compared.

    Raises:
        RequestError: if the sweeps are of two tasks, or have no trial in common.
    """
    tasks = [sweep.manifest["task"] for sweep in (first, second)]
    if tasks[0] != tasks[1]:
        raise RequestError(
            f"{names[0]} is a sweep of {tasks[0]}, {names[1]} of {tasks[1]}; "
            "compare two sweeps of one task"
        )
    trials = (_trials(first), _trials(second))
    common = [key for key in trials[0] if key in trials[1]]
    if not common:
        raise RequestError(
            f"{names[0]} and {names[1]} have no configuration and seed in common; "
            "name two sweeps of one space"
        )
    rows, num_cells = _origin_rows(first, second), 0
    samples = (samples_by_trial(first), samples_by_trial(second))
    described = _describer([key for part in trials for key in part])
    for key, trial in trials[0].items():
        if key not in trials[1]:
            rows.append([described(key), "trial", trial["status"], "missing"])
            continue
        other = trials[1][key]
        found, compared = compare_metrics(trial, other, tolerance)
        ours, theirs = samples[0].get(trial["trial_id"]), samples[1].get(other["trial_id"])
        more, number = compare_samples(ours, theirs, tolerance)
        rows += [[described(key), *row] for row in (*found, *more)]
        num_cells += compared + number
    rows += [
        [described(key), "trial", "missing", trial["status"]]
        for key, trial in trials[1].items()
        if key not in trials[0]
    ]
    return CellComparison(
        table=_table(rows, names, tolerance, len(common), num_cells),
        num_differences=len(rows),
        num_trials=len(common),
        num_cells=num_cells,
    )


def _table(
    rows: list[list[str]], names: tuple[str, str], tolerance: float, trials: int, cells: int
) -> DetailTable:
    hidden = len(rows) - MAX_SHOWN
    caption = [
        f"{plural(trials, 'trial')} in both sweeps, {cells:,} numbers and texts compared; "
        f"numbers are equal within {tolerance:g}, absolute or relative."
    ]
    if hidden > 0:
        caption.insert(
            0,
            f"{plural(hidden, 'further difference')} {'is' if hidden == 1 else 'are'} not listed.",
        )
    count = f"{len(rows):,} difference{'' if len(rows) == 1 else 's'}" if rows else "no difference"
    return DetailTable(
        title=f"{names[0]} against {names[1]}: {count}",
        headings=["configuration", "what", names[0], names[1]],
        rows=rows[:MAX_SHOWN],
        caption=caption,
    )


def _trials(sweep: Sweep) -> dict[tuple[str, int], Mapping[str, Any]]:
    """The trials on the sweep's model and data by configuration and seed."""
    found: dict[tuple[str, int], Mapping[str, Any]] = {}
    for row in sweep.current_rows():
        params = {k[6:]: v for k, v in row.items() if k.startswith("param.")}
        found[json.dumps(params, sort_keys=True), row["seed"]] = row
    return found


def _describer(keys: Sequence[tuple[str, int]]) -> Any:
    """A function that names a trial by the parameters that vary, and its seed."""
    params = {key: json.loads(key[0]) for key in keys}
    names = dict.fromkeys(name for values in params.values() for name in values)
    varying = [n for n in names if len({json.dumps(p.get(n)) for p in params.values()}) > 1]

    def describe(key: tuple[str, int]) -> str:
        values = [f"{n} {format_plain(params[key].get(n))}" for n in varying]
        return ", ".join([*values, f"seed {key[1]}"])

    return describe


def _origin_rows(first: Sweep, second: Sweep) -> list[list[str]]:
    """Model and data whose content differs, though configurations are equal."""
    rows = []
    for what in ("model", "data"):
        sources = [sweep.manifest[what] for sweep in (first, second)]
        if sources[0]["fingerprint"] != sources[1]["fingerprint"]:
            shown = [f"{source['name']} ({source['fingerprint'][:8]})" for source in sources]
            rows.append(["all", what, *shown])
    return rows
