"""Compare two sweeps cell by cell: every number of their common configurations and seeds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from results.compare.trial_pairs import TrialPairs, params_key
from results.compare.values import Differences
from results.storage.reading import Sweep
from results.storage.schema import SWEEP_COLUMNS
from results.tables.details import DetailTable
from results.tables.rows import SummaryRow
from results.tables.summary import summarize
from results.text import plural
from tasks.contract import RequestError

MAX_SHOWN = 20  # maximum number of listed differences; the others are counted
TOLERANCE = 1e-6  # for tasks that declare none
_NO_RESULT = ("failed", "cancelled", "interrupted")


@dataclass(frozen=True, kw_only=True)
class CellComparison:
    """The differences between two sweeps, and the number of compared trials."""

    table: DetailTable  # the largest differences
    num_differences: int
    num_trials: int


def stated_tolerance(*sweeps: Sweep) -> float:
    """Return the tolerance that the task declares for trials that run again."""
    declared = [sweep.manifest.tolerance for sweep in sweeps]
    return max([TOLERANCE, *(each for each in declared if 0 < each < 1)])


def compare_cells(
    first: Sweep, second: Sweep, names: tuple[str, str], tolerance: float = 0.0
) -> CellComparison:
    """Compare all trials, steps, samples and table cells of two sweeps.

    Numbers are equal if their absolute or relative difference is at most ``tolerance``. A trial
    with a result in only one of the sweeps is a difference. Times are not compared.

    Raises:
        RequestError: if the sweeps have different tasks or no trial in common.
    """
    tasks = [sweep.manifest.task for sweep in (first, second)]
    if tasks[0] != tasks[1]:
        raise RequestError(
            f"{names[0]} is a sweep of {tasks[0]}, but {names[1]} of {tasks[1]}; "
            "compare two sweeps of one task"
        )
    pairs = TrialPairs(first=first, second=second)
    if not pairs.common:
        raise RequestError(
            f"{names[0]} and {names[1]} have no configuration and seed in common; "
            "compare two sweeps of one space"
        )
    found = Differences(tolerance=tolerance)
    _compare_origins(found, pairs)
    num_unmatched = _compare_presence(found, pairs)
    _compare_trials(found, pairs)
    _compare_steps(found, pairs)
    _compare_samples(found, pairs)
    _compare_tables(found, pairs)
    return CellComparison(
        table=_table(found, names, len(pairs.common), num_unmatched),
        num_differences=len(found.found),
        num_trials=len(pairs.common),
    )


def _table(
    found: Differences, names: tuple[str, str], num_trials: int, num_unmatched: int
) -> DetailTable:
    number = len(found.found)
    hidden = number - MAX_SHOWN
    caption = [f"{plural(num_trials, 'trial')} in both sweeps. {found.summary()}"]
    if num_unmatched:
        verb = "is" if num_unmatched == 1 else "are"
        caption.append(
            f"{plural(num_unmatched, 'trial')} without a result in one sweep {verb} not in the "
            "other."
        )
    if hidden > 0:
        verb = "is" if hidden == 1 else "are"
        caption.insert(0, f"{plural(hidden, 'further difference')} {verb} not listed.")
    count = plural(number, "difference") if number else "no difference"
    return DetailTable(
        title=f"{names[0]} against {names[1]}: {count}",
        headings=["configuration", "what", names[0], names[1]],
        rows=[[d.where, d.what, d.first, d.second] for d in found.largest_first()[:MAX_SHOWN]],
        caption=caption,
    )


# --- trials ---------------------------------------------------------------------------------------


def _compare_origins(found: Differences, pairs: TrialPairs) -> None:
    """Compare the content of model and data."""
    for what in ("model", "data"):
        one, other = (getattr(sweep.manifest, what) for sweep in (pairs.first, pairs.second))
        if one.fingerprint != other.fingerprint:
            shown = [f"{each.name} ({each.fingerprint[:8]})" for each in (one, other)]
            found.add("all", what, shown[0], shown[1])


def _compare_presence(found: Differences, pairs: TrialPairs) -> int:
    """Find trials that one sweep lacks; return how many of them have no result in the other."""
    num_unmatched = 0
    ours, theirs = pairs.trials
    for key, trial in {**ours, **theirs}.items():
        if key in ours and key in theirs:
            continue
        if trial["status"] in _NO_RESULT:
            num_unmatched += 1
            continue
        shown = (trial["status"], "missing")
        found.add(pairs.describe(key), "trial", *(shown if key in ours else shown[::-1]))
    return num_unmatched


def _compare_trials(found: Differences, pairs: TrialPairs) -> None:
    """Compare statuses and metrics."""
    for where, one, other in pairs.rows():
        names = [k for k in dict.fromkeys([*one, *other]) if k.startswith(("metric.", "best."))]
        for name in ("status", "num_steps", *names):
            found.compare(where, name, one.get(name), other.get(name))


# --- steps and samples ----------------------------------------------------------------------------


def _compare_steps(found: Differences, pairs: TrialPairs) -> None:
    """Compare the metrics of all steps but the last, whose metrics are in the trial's row."""
    tables = [_by_trial(sweep.steps, ["at"]) for sweep in (pairs.first, pairs.second)]
    for where, *trials in pairs.rows():
        found_steps = (t.get(row["trial_id"]) for t, row in zip(tables, trials, strict=True))
        parts = [part for part in found_steps if part is not None]
        if len(parts) < 2:
            continue
        one, other = ({row["at"]: row for row in part.to_pylist()} for part in parts)
        for at in sorted({*one, *other}):
            if at not in one or at not in other:
                shown = ["present" if at in part else "missing" for part in (one, other)]
                found.add(where, f"step {at}", shown[0], shown[1])
                continue
            if at == max(one) == max(other):
                continue
            for name in dict.fromkeys([*one[at], *other[at]]):
                if name.startswith("metric."):
                    what = f"step {at}: {name}"
                    found.compare(where, what, one[at].get(name), other[at].get(name))


def _compare_samples(found: Differences, pairs: TrialPairs) -> None:
    """Compare all columns of the samples, if both trials have samples."""
    sweeps = (pairs.first, pairs.second)
    tables = [samples_by_trial(sweep) for sweep in sweeps]
    for where, *trials in pairs.rows():
        one, other = (table.get(row["trial_id"]) for table, row in zip(tables, trials, strict=True))
        if one is None or other is None:
            continue
        if one.num_rows != other.num_rows:
            shown = [plural(part.num_rows, "row") for part in (one, other)]
            found.add(where, "samples", shown[0], shown[1])
            continue
        for name in [n for n in one.column_names if n in other.column_names]:
            found.compare_columns(where, f"samples: {name}", one[name], other[name])


def samples_by_trial(sweep: Sweep) -> dict[str, pa.Table]:
    """Return the samples of each trial that has some, sorted by unit."""
    keys = (key for each in sweep.manifest.paired for key in (*each.where, each.unit))
    return _by_trial(sweep.samples, list(dict.fromkeys(keys)))


def _by_trial(table: Any, order: Sequence[str]) -> dict[str, Any]:
    """Return the rows of each trial, sorted by the columns ``order``."""
    if not table.num_rows:
        return {}
    names = ["trial_id", *(key for key in order if key in table.column_names)]
    table = table.sort_by([(key, "ascending") for key in names])
    ids = np.asarray(table["trial_id"].to_pylist())
    table = table.drop_columns([*SWEEP_COLUMNS, "trial_id", "seed"])
    bounds = [*np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]]).tolist(), len(ids)]
    return {
        str(ids[start]): table.slice(start, end - start)
        for start, end in itertools.pairwise(bounds)
    }


# --- tables ---------------------------------------------------------------------------------------


def _compare_tables(found: Differences, pairs: TrialPairs) -> None:
    """Compare the cells of summary tables, in rows that have the same seeds in both sweeps."""
    tables = [summarize(sweep, None, published=False) for sweep in (pairs.first, pairs.second)]
    if len(tables[0]) != len(tables[1]):
        return  # sweeps of different spaces have different tables
    for number, (one, other) in enumerate(zip(*tables, strict=True), start=1):
        theirs = {params_key(row.params): row for row in other.rows}
        for row in one.rows:
            key = params_key(row.params)
            if key not in theirs or not pairs.has_same_seeds(key):
                continue
            cells, others = _cells(row), _cells(theirs[key])
            for name in dict.fromkeys([*cells, *others]):
                what = f"table {number}: {name}"
                found.compare(pairs.describe_params(key), what, cells.get(name), others.get(name))


def _cells(row: SummaryRow) -> dict[str, Any]:
    """Return the cells of a row that are not in its trials: means over seeds, interval, status."""
    bounds = row.estimate
    return {
        "state": row.status or "finished",
        **(row.metrics if row.num_seeds > 1 else {}),
        "deviation": row.deviation,
        "95 % low": bounds.low if bounds else None,
        "95 % high": bounds.high if bounds else None,
    }
