"""Two sweeps cell by cell: the same configurations and seeds, their metrics and their samples."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from results.details import DetailTable
from results.reading import Sweep
from results.schema import SWEEP_COLUMNS
from results.summary import format_plain
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
    samples = (_samples(first), _samples(second))
    described = _describer([key for part in trials for key in part])
    for key, trial in trials[0].items():
        if key not in trials[1]:
            rows.append([described(key), "trial", trial["status"], "missing"])
            continue
        other = trials[1][key]
        found, compared = _compare_trials(trial, other, tolerance)
        ours, theirs = samples[0].get(trial["trial_id"]), samples[1].get(other["trial_id"])
        more, number = _compare_samples(ours, theirs, tolerance)
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


def _compare_trials(
    one: Mapping[str, Any], other: Mapping[str, Any], tolerance: float
) -> tuple[list[list[str]], int]:
    """Status and metrics that differ, and how many were compared."""
    rows, compared = [], 0
    names = [k for k in dict.fromkeys([*one, *other]) if k.startswith(("metric.", "best."))]
    for name in ("status", "num_steps", *names):
        values = one.get(name), other.get(name)
        if values == (None, None):
            continue
        compared += 1
        if not _is_equal(*values, tolerance):
            rows.append([name, *map(_text, values)])
    return rows, compared


def _is_equal(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        close = math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
        return close or (math.isnan(one) and math.isnan(other))
    return bool(one == other)


def _text(value: Any) -> str:
    return (
        "missing" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
    )


# --- samples --------------------------------------------------------------------------------------


def _compare_samples(ours: Any, theirs: Any, tolerance: float) -> tuple[list[list[str]], int]:
    """Columns of two trials' samples that differ, where both have samples."""
    if ours is None or theirs is None:
        return [], 0
    if ours.num_rows != theirs.num_rows:
        return [["samples", plural(ours.num_rows, "row"), plural(theirs.num_rows, "row")]], 1
    rows, compared = [], 0
    for name in [n for n in ours.column_names if n in theirs.column_names]:
        different, largest = _different(ours[name], theirs[name], tolerance)
        compared += ours.num_rows
        if different:
            by = f", by at most {largest:.3g}" if largest is not None else ""
            rows.append([f"samples: {name}", f"{different} of {ours.num_rows} differ{by}", ""])
    return rows, compared


def _samples(sweep: Sweep) -> dict[str, Any]:
    """The samples of every trial that has some, in the order of their units."""
    table = sweep.samples
    if not table.num_rows:
        return {}
    keys = dict.fromkeys(
        key for paired in sweep.manifest["paired"] for key in (*paired["where"], paired["unit"])
    )
    order = ["trial_id", *(key for key in keys if key in table.column_names)]
    table = table.sort_by([(key, "ascending") for key in order])
    ids = np.asarray(table["trial_id"].to_pylist())
    table = table.drop_columns([*SWEEP_COLUMNS, "trial_id", "seed"])
    bounds = [*np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]]).tolist(), len(ids)]
    return {
        str(ids[start]): table.slice(start, end - start)
        for start, end in itertools.pairwise(bounds)
    }


def _different(ours: Any, theirs: Any, tolerance: float) -> tuple[int, float | None]:
    """How many values of two columns differ, and for numbers by how much at most."""
    if all(pa.types.is_floating(c.type) or pa.types.is_integer(c.type) for c in (ours, theirs)):
        one, other = (c.cast(pa.float64()).to_numpy(zero_copy_only=False) for c in (ours, theirs))
        equal = np.isclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)
        gaps = np.abs(one - other)[~equal]
        return int((~equal).sum()), float(gaps.max()) if len(gaps) else None
    pairs = zip(ours.to_pylist(), theirs.to_pylist(), strict=True)
    return sum(one != other for one, other in pairs), None
