"""Mark rows of a table: the best, those not distinguishable from it, and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from results.statistics import BestComparison, compare_with_best
from results.storage.manifest import Manifest
from results.tables.cell_text import format_value
from results.tables.rows import SummaryRow
from results.tables.scores import Scores
from tasks.contract import Column


def mark_best(
    rows: Sequence[SummaryRow],
    found: Sequence[Mapping[int, Mapping[str, Any]]],
    manifest: Manifest,
    scores: Scores,
) -> BestComparison | None:
    """Mark the best row, and the rows that a test over all rows cannot distinguish from it.

    Only rows that finished every seed are tested, on their common seeds. Without scores per unit,
    the best row is marked without a test. Until a row has finished every seed, the best row so far
    is marked. Rows that were scored differently are not compared.
    """
    main = manifest.main_key
    maximize = manifest.maximize
    complete = [i for i, row in enumerate(rows) if row.num_seeds and main in row.metrics]
    if scored_differently([rows[i] for i in complete], manifest):
        return None
    values = [rows[i].metrics[main] for i in complete]
    if len(set(values)) < 2 or (maximize and _prints_zero(max(values), manifest.main_column)):
        return None  # there is no best row
    tested = [i for i in complete if not rows[i].status]
    matrices = _matrices([found[i] for i in tested], manifest, scores)
    if matrices is None:
        chosen = tested or complete
        values = [rows[i].metrics[main] for i in chosen]
        rows[chosen[int(np.argmax(values if maximize else np.negative(values)))]].mark = "best"
        return None
    result = compare_with_best(matrices, maximize=maximize, aggregate=scores.aggregate)
    pairs = zip(tested, result.p_values, result.beaten, strict=True)
    for index, p_value, beaten in pairs:
        is_tested = not math.isnan(p_value)
        rows[index].mark = "untested" if not is_tested else "" if beaten else "tie"
        rows[index].p_value = p_value if is_tested else None
    rows[tested[result.best]].mark = "best"
    rows[tested[result.best]].p_value = None
    return result


def scored_differently(rows: Sequence[SummaryRow], manifest: Manifest) -> list[str]:
    """Return the scoring parameters in which rows differ."""
    names = manifest.scoring_params
    return [name for name in names if len({repr(row.params.get(name)) for row in rows}) > 1]


def _prints_zero(value: float, column: Column) -> bool:
    """Return whether an accuracy or a score is printed as 0.00, because nothing was learned."""
    is_share = column.format in ("percent", "score")
    return is_share and format_value(value, column.format) == format_value(0, column.format)


def _matrices(
    found: Sequence[Mapping[int, Mapping[str, Any]]], manifest: Manifest, scores: Scores
) -> list[np.ndarray[Any, Any]] | None:
    """Return the scores of each row for the common seeds and units; None if there are none."""
    if len(found) < 2 or manifest.main_column.pick != "last":  # samples are from the last step
        return None
    finished = [
        {seed: row["trial_id"] for seed, row in trials.items() if row["status"] == "finished"}
        for trials in found
    ]
    seeds = sorted(set.intersection(*(set(each) for each in finished)))
    matrices = [scores.matrix([each[seed] for seed in seeds]) for each in finished]
    if any(matrix is None or matrix.shape[:2] == (1, 1) for matrix in matrices):
        return None
    units = [scores.units(each[seed]) for each in finished for seed in seeds]
    if not all(np.array_equal(units[0], other) for other in units):
        return None
    return matrices


def mark_front(rows: Sequence[SummaryRow], manifest: Manifest) -> None:
    """Mark the rows on the Pareto front, if the task or the search declares its metrics.

    If all rows are equal in one of the metrics, there is no trade-off, and no row is marked.
    """
    signs = {
        f"metric.{name}": 1.0 if direction == "maximize" else -1.0
        for name, direction in manifest.objectives.items()
    }
    keys = list(signs)
    complete = [
        row for row in rows if keys and row.num_seeds and all(k in row.metrics for k in keys)
    ]
    points = [tuple(sign * row.metrics[key] for key, sign in signs.items()) for row in complete]
    is_trade = all(len(set(values)) > 1 for values in zip(*points, strict=True))
    for row, point in zip(complete, points, strict=True):
        row.on_front = is_trade and not any(
            other != point and all(o >= p for o, p in zip(other, point, strict=True))
            for other in points
        )
