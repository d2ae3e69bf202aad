"""A score with its 95 % interval.

Scores are [U, S]: one per unit (query, image) and seed. A score that is no mean, such as corpus
BLEU, comes as [U, S, K]: the values whose sums over units its aggregate is a function of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.statistics.aggregation import MEAN
from results.statistics.variance import Sample, Uncertainty, uncertainty

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score with its 95 % interval; without bounds (nan) where nothing varies to take it from."""

    mean: float
    low: float
    high: float


def estimate(scores: Array, aggregate: str = MEAN) -> Estimate:
    """The score of a configuration with its 95 % interval.

    With one seed the interval covers other queries, with several also other seeds. A share of hits
    has Wilson's interval, a mean a t interval, an aggregate a t interval over resamples.

    Args:
        scores: [U, S] of units and seeds, or [U, S, K] where ``aggregate`` is a formula.
        aggregate: ``mean``, or a formula over sums of K values (``aggregation.py``).

    Examples:
        >>> hits = np.array([[1], [1], [1], [0], [1], [0], [1], [1]])  # 8 queries, 1 seed
        >>> found = estimate(hits)
        >>> f"{found.mean:.2f} [{found.low:.2f}, {found.high:.2f}]"
        '0.75 [0.41, 0.93]'
    """
    sample = Sample.of(scores, aggregate)
    mean = float(sample.points.mean())
    found = uncertainty(sample, None, same_units=True, same_seeds=True)
    if scores.ndim == 2 and len(scores) > 1 and is_share(scores):
        return _wilson(mean, found, len(scores))
    bounds = interval(mean, found)
    if scores.ndim == 2 or math.isnan(bounds.low):
        return bounds
    return Estimate(mean, max(0.0, bounds.low), bounds.high)


def interval(mean: float, found: Uncertainty) -> Estimate:
    """The t interval of a mean or a difference; none where no score varies.

    Equal scores say that the spread is small, not that it is zero.
    """
    from scipy import special

    if math.isnan(found.df) or found.standard_error <= 1e-12 * max(1.0, abs(mean)):  # rounding
        return Estimate(mean, math.nan, math.nan)
    half = float(special.stdtrit(found.df, 0.975)) * found.standard_error
    return Estimate(mean, mean - half, mean + half)


def is_share(scores: Array) -> bool:
    """Whether scores are hits and misses; a hit that is shared by ties may count in part."""
    binary = (scores == 0) | (scores == 1)
    return bool(((scores >= 0) & (scores <= 1)).all() and binary.mean() >= 0.5)


def _wilson(share: float, found: Uncertainty, units: int) -> Estimate:
    """Wilson's interval of a share (Wilson 1927) at its effective number of units.

    The effective number has the binomial variance that was found (Korn and Graubard 1998), so
    seeds count, and the interval stays within 0..1. Without any variance it is that of the units.
    """
    from scipy import special

    if math.isnan(found.df):
        return Estimate(share, math.nan, math.nan)
    binomial = share * (1 - share)
    if not found.over_seeds:  # Wilson's own interval: z, and U where the t variance has U - 1
        t, variance = special.ndtri(0.975), found.standard_error**2 * (units - 1) / units
    else:
        t, variance = special.stdtrit(found.df, 0.975), found.standard_error**2
    number = binomial / variance if binomial > 0 and variance > 0 else float(units)
    squared = float(t) ** 2
    center = (share + squared / (2 * number)) / (1 + squared / number)
    half = math.sqrt(squared * (binomial / number + squared / (4 * number**2)))
    half /= 1 + squared / number
    return Estimate(share, max(0.0, center - half), min(1.0, center + half))
