"""One trial in two sweeps: its metrics and samples, cell by cell.

Numbers are equal if they differ by at most a tolerance, or by that share of the larger one. Times
are not compared.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from results.reading import Sweep
from results.schema import SWEEP_COLUMNS
from results.words import plural


def compare_metrics(
    one: Mapping[str, Any], other: Mapping[str, Any], tolerance: float
) -> tuple[list[list[str]], int]:
    """What differs in status and metrics, as (what, one, other), and how many were compared."""
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


def compare_samples(ours: Any, theirs: Any, tolerance: float) -> tuple[list[list[str]], int]:
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


def samples_by_trial(sweep: Sweep) -> dict[str, Any]:
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
    unequal = _unequal(ours, theirs, tolerance)
    gap = None
    if _are_numbers(ours, theirs) and unequal.any():
        gap = float(np.abs(_numbers(ours) - _numbers(theirs))[unequal].max())
    return int(unequal.sum()), gap


def _unequal(ours: Any, theirs: Any, tolerance: float) -> Any:
    if _are_numbers(ours, theirs):
        one, other = _numbers(ours), _numbers(theirs)
        equal = np.isclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)
        return np.logical_not(equal)
    pairs = zip(ours.to_pylist(), theirs.to_pylist(), strict=True)
    return np.array([one != other for one, other in pairs], dtype=bool)


def _are_numbers(*columns: Any) -> bool:
    return all(pa.types.is_floating(c.type) or pa.types.is_integer(c.type) for c in columns)


def _numbers(column: Any) -> Any:
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def num_flipped(ours: pa.Table, theirs: pa.Table, tolerance: float) -> int:
    """How many samples differ in a number or text. Pictures are not compared: they are bytes."""
    flipped = np.zeros(ours.num_rows, dtype=bool)
    for name in [n for n in ours.column_names if n in theirs.column_names]:
        if not pa.types.is_binary(ours[name].type):
            flipped |= _unequal(ours[name], theirs[name], tolerance)
    return int(flipped.sum())
