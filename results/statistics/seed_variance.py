"""Average the variance over seeds of a difference over all rows of a table or a comparison.

Two to five seeds are too few to estimate this variance for each difference: among many rows, some
have seeds that agree by chance. So each difference uses the average, unless its own variance is
larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from results.statistics.aggregation import MEAN
from results.statistics.variance import (
    Sample,
    Uncertainty,
    VarianceComponent,
    combine,
    seeds_component,
    units_component,
)

Array = np.ndarray[Any, Any]


def average_over_seeds(rows: Sequence[Array], aggregate: str = MEAN) -> VarianceComponent | None:
    """Average the variance over seeds of a difference between two rows over all pairs.

    Args:
        rows: the scores of each row, for the same seeds.
        aggregate: ``mean``, or a formula over sums of K values.

    Returns:
        The average; None for a single row or seed.
    """
    if len(rows) < 2 or rows[0].shape[1] < 2:
        return None
    return average_of_pairs([Sample.of(row, aggregate) for row in rows])


def average_of_pairs(samples: Sequence[Sample]) -> VarianceComponent:
    """Compute ``average_over_seeds`` for two or more samples."""
    points = np.stack([sample.points for sample in samples])  # [K, S]
    rows, seeds = points.shape
    rest = points - points.mean(1, keepdims=True) - points.mean(0) + points.mean()
    df = (rows - 1) * (seeds - 1)
    value = 2 * float((rest**2).sum()) / df / seeds
    return VarianceComponent(value, value**2 / df)


def average_of_differences(
    pairs: Sequence[tuple[Array, Array]],
    *,
    same_units: bool = True,
    same_seeds: bool = True,
    aggregate: str = MEAN,
) -> VarianceComponent | None:
    """Average the variance over seeds of the difference of two scores over pairs.

    The variance includes the interaction of units and seeds and is at least as large. So seeds that
    agree by chance do not make an interval narrower than one over units only.

    Args:
        pairs: the scores of both sides of each pair. All first sides have the same seeds, and all
            second sides have the same seeds.
        same_units: whether both sides of a pair have the same units.
        same_seeds: whether both sides of a pair have the same seeds.
        aggregate: ``mean``, or a formula over sums of K values.

    Returns:
        The average; None if both sides have a single seed.
    """
    samples = [(Sample.of(one, aggregate), Sample.of(other, aggregate)) for one, other in pairs]
    points = [np.stack([pair[side].points for pair in samples]) for side in (0, 1)]  # [K, S] each
    if same_seeds:
        points = [points[0] - points[1]]
    number = [each.shape[1] for each in points]
    if max(number) == 1:
        return None
    if min(number) == 1:  # assume the variance of the other side for a single seed
        several = max(points, key=lambda each: each.shape[1])
        found = _average(several, 1 + 1 / max(number))
    else:
        parts = [_average(each, 1 / each.shape[1]) for each in points]
        found = sum(parts[1:], parts[0])
    of_units = [units_component(*pair, same_units, same_seeds, over_seeds=True) for pair in samples]
    least = float(np.mean([part.interaction for part in of_units]))
    return found + VarianceComponent(max(0.0, least - found.value))


def _average(points: Array, scale: float) -> VarianceComponent:
    """Return ``scale`` times the variance over seeds, averaged over K rows [K, S].

    A seed may have the same effect on all rows; then K rows contain no more information about seeds
    than one. So the mean squares of the common effect and of the rest, from a two-way table, have
    separate degrees of freedom.
    """
    rows, seeds = points.shape
    shared = points.mean(0) - points.mean()
    rest = points - points.mean(1, keepdims=True) - shared
    both = [float((shared**2).sum()), float((rest**2).sum()) / rows]
    df = [seeds - 1, (rows - 1) * (seeds - 1)]
    values = [scale * each / (seeds - 1) for each in both]
    noise = sum(value**2 / f for value, f in zip(values, df, strict=True) if f)
    return VarianceComponent(sum(values), noise)


def against(
    one: Sample,
    other: Sample,
    average: VarianceComponent,
    *,
    same_units: bool = True,
    same_seeds: bool = True,
) -> Uncertainty:
    """Return the uncertainty of ``one`` minus ``other``, with the average variance over seeds.

    One of them may have a single seed, but not both.
    """
    units = units_component(one, other, same_units, same_seeds, True)
    own = seeds_component(one, other, same_seeds)
    excess = max(0.0, own.value - average.value)
    seeds = average + VarianceComponent(excess, excess**2 / own.df)
    return combine(units, seeds, min(one.df, other.df), over_seeds=True)
