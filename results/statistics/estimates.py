"""Estimate scores with 95 % intervals.

Scores are [U, S], for units (queries, images) and seeds. If the metric is not a mean, such as
corpus BLEU, they are [U, S, K]: the metric is a formula over the sums of K values over units.
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
    """A score with its 95 % interval; the bounds are nan if they cannot be estimated."""

    mean: float
    low: float
    high: float


def estimate(scores: Array, aggregate: str = MEAN) -> Estimate:
    """Estimate the score of a configuration with its 95 % interval.

    With one seed, the interval is over queries; with several seeds, it is over queries and seeds. A
    fraction of hits has Wilson's interval, another mean a t interval, and a formula a t interval
    over resamples.

    Args:
        scores: scores [U, S] of units and seeds, or [U, S, K] if ``aggregate`` is a formula.
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
    """Return the t interval of a mean or a difference; the bounds are nan if no score varies.

    Equal scores do not prove that the variance is zero.
    """
    from scipy import special

    if math.isnan(found.df) or found.standard_error <= 1e-12 * max(1.0, abs(mean)):  # rounding
        return Estimate(mean, math.nan, math.nan)
    half = float(special.stdtrit(found.df, 0.975)) * found.standard_error
    return Estimate(mean, mean - half, mean + half)


def is_share(scores: Array) -> bool:
    """Return whether scores are hits and misses. Ties may make some hits fractional."""
    binary = (scores == 0) | (scores == 1)
    return bool(((scores >= 0) & (scores <= 1)).all() and binary.mean() >= 0.5)


def _wilson(share: float, found: Uncertainty, units: int) -> Estimate:
    """Return Wilson's interval of a fraction (Wilson 1927) for the effective number of units.

    With the effective number, the binomial variance equals the estimated variance (Korn and
    Graubard 1998). This includes the variance over seeds and keeps the interval in 0..1. Without
    variance, the number is that of the units.
    """
    from scipy import special

    if math.isnan(found.df):
        return Estimate(share, math.nan, math.nan)
    binomial = share * (1 - share)
    if not found.over_seeds:  # Wilson's original interval: z instead of t, and U instead of U - 1
        t, variance = special.ndtri(0.975), found.standard_error**2 * (units - 1) / units
    else:
        t, variance = special.stdtrit(found.df, 0.975), found.standard_error**2
    number = binomial / variance if binomial > 0 and variance > 0 else float(units)
    squared = float(t) ** 2
    center = (share + squared / (2 * number)) / (1 + squared / number)
    half = math.sqrt(squared * (binomial / number + squared / (4 * number**2)))
    half /= 1 + squared / number
    return Estimate(share, max(0.0, center - half), min(1.0, center + half))
