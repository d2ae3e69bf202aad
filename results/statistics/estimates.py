"""A score with its 95 % interval.

Scores are [U, S]: one per unit (query, image) and seed. A score that is no mean, such as corpus
BLEU, comes as [U, S, K]: the values whose sums over units its aggregate is a function of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from results.statistics.aggregation import MEAN, aggregation

Array = np.ndarray[Any, Any]
NUM_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


def estimate(scores: Array, aggregate: str = MEAN) -> Estimate:
    """The score of a configuration with its 95 % interval.

    Args:
        scores: [U, S] of units and seeds, or [U, S, K] where ``aggregate`` is a formula.
        aggregate: ``mean``, or a formula over sums of K values.
    """
    from results.statistics.comparisons import difference

    if scores.ndim == 2 and scores.shape[1] == 1 and bool(np.isin(scores, (0.0, 1.0)).all()):
        hits, number = int(scores.sum()), len(scores)
        interval = stats.binomtest(hits, number).proportion_ci(method="wilson")
        return Estimate(hits / number, float(interval.low), float(interval.high))
    return difference(scores, np.zeros_like(scores), aggregate=aggregate).estimate


def resampled(values: Array) -> Array:
    """Sums [B, S, K] of values [U, S, K] over units drawn with replacement (Koehn 2004)."""
    units, seeds, size = values.shape
    rng = np.random.default_rng(0)  # the same draws for every configuration of as many units
    weights = rng.multinomial(units, np.full(units, 1 / units), size=NUM_RESAMPLES)
    sums = weights.astype(np.float64) @ values.reshape(units, -1).astype(np.float64)
    return sums.reshape(NUM_RESAMPLES, seeds, size)


def parts(scores: Array, aggregate: str) -> tuple[Array, float, Array]:
    """Values over units, what share of their variance is the mean's, and the means over seeds."""
    if scores.ndim == 3:
        function = aggregation(aggregate)
        return function(resampled(scores)).mean(1), 1.0, function(scores.sum(0))
    return scores.mean(1), 1 / len(scores), scores.mean(0)


def variance(values: Array) -> float:
    """The unbiased variance; zero for one value."""
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0


def interval(mean: float, error: float, df: float) -> Estimate:
    """A t interval."""
    half = error * float(stats.t.ppf(0.975, df)) if error and not math.isnan(df) else 0.0
    return Estimate(mean, mean - half, mean + half)
