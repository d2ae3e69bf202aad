"""The variance over seeds of a difference, averaged over all rows of a table or a comparison.

Two to five seeds are too few to estimate it for each difference: two seeds may agree by luck, and
among many rows some do. So a difference has the average, and where its own is larger, its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from results.statistics.aggregation import MEAN
from results.statistics.variance import (
    Part,
    Sample,
    Uncertainty,
    combine,
    seeds_part,
    units_part,
)

Array = np.ndarray[Any, Any]


def average_over_seeds(rows: Sequence[Array], aggregate: str = MEAN) -> Part | None:
    """The variance over seeds of a difference between two rows, averaged over all pairs.

    Args:
        rows: the scores of each row, over the same seeds.
        aggregate: ``mean``, or a formula over sums of K values.

    None for a single row or seed.
    """
    if len(rows) < 2 or rows[0].shape[1] < 2:
        return None
    return average_of_pairs([Sample.of(row, aggregate) for row in rows])


def average_of_pairs(samples: Sequence[Sample]) -> Part:
    """``average_over_seeds`` of two samples or more."""
    points = np.stack([sample.points for sample in samples])  # [K, S]
    rows, seeds = points.shape
    rest = points - points.mean(1, keepdims=True) - points.mean(0) + points.mean()
    df = (rows - 1) * (seeds - 1)
    value = 2 * float((rest**2).sum()) / df / seeds
    return Part(value, value**2 / df)


def average_of_differences(
    pairs: Sequence[tuple[Array, Array]],
    *,
    same_units: bool = True,
    same_seeds: bool = True,
    aggregate: str = MEAN,
) -> Part | None:
    """The variance over seeds of the difference of two scores, averaged over these pairs.

    It contains the interaction of units and seeds, so it is at least that: seeds that agree by luck
    make no interval narrower than one over units alone.

    Args:
        pairs: the scores of both sides of each; all first sides have the same seeds, and so have
            all second ones.
        same_units: whether both sides of a pair have the same units.
        same_seeds: whether they have the same seeds.
        aggregate: ``mean``, or a formula over sums of K values.

    None if both sides have one seed.
    """
    samples = [(Sample.of(one, aggregate), Sample.of(other, aggregate)) for one, other in pairs]
    points = [np.stack([pair[side].points for pair in samples]) for side in (0, 1)]  # [K, S] each
    if same_seeds:
        points = [points[0] - points[1]]
    number = [each.shape[1] for each in points]
    if max(number) == 1:
        return None
    if min(number) == 1:  # a single seed is taken to vary as those of the other side
        several = max(points, key=lambda each: each.shape[1])
        found = _average(several, 1 + 1 / max(number))
    else:
        parts = [_average(each, 1 / each.shape[1]) for each in points]
        found = sum(parts[1:], parts[0])
    of_units = [units_part(*pair, same_units, same_seeds, over_seeds=True) for pair in samples]
    least = float(np.mean([part.interaction for part in of_units]))
    return found + Part(max(0.0, least - found.value))


def _average(points: Array, scale: float) -> Part:
    """``scale`` times the variance over seeds, averaged over K rows [K, S].

    A seed may help or hurt all rows alike; then K rows say no more about seeds than one. So the
    mean squares of a two-way table, of what all rows share and of the rest, have each their degrees
    of freedom.
    """
    rows, seeds = points.shape
    shared = points.mean(0) - points.mean()
    rest = points - points.mean(1, keepdims=True) - shared
    both = [float((shared**2).sum()), float((rest**2).sum()) / rows]
    df = [seeds - 1, (rows - 1) * (seeds - 1)]
    values = [scale * each / (seeds - 1) for each in both]
    noise = sum(value**2 / f for value, f in zip(values, df, strict=True) if f)
    return Part(sum(values), noise)


def against(
    one: Sample, other: Sample, average: Part, *, same_units: bool = True, same_seeds: bool = True
) -> Uncertainty:
    """The uncertainty of ``one``'s score minus ``other``'s with the average variance over seeds.

    ``one`` or ``other`` may have a single seed, but not both.
    """
    units = units_part(one, other, same_units, same_seeds, True)
    own = seeds_part(one, other, same_seeds)
    excess = max(0.0, own.value - average.value)
    seeds = average + Part(excess, excess**2 / own.df)
    return combine(units, seeds, min(one.df, other.df), over_seeds=True)
