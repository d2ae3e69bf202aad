"""Means, deviations, confidence intervals and paired tests over units and seeds. numpy only.

    U units (queries, images)    S seeds    scores (U, S): what each unit scored under each seed

The standard error of a mean has two parts: which units were drawn (variance over units of their
mean over seeds, / U) and which seeds were (variance over seeds of their mean over units, / S; 0 for
one seed, which says nothing about others). Noise that is neither's alone is in both parts, so the
interval errs on the wide side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Scores = Float[np.ndarray, "units seeds"]

Z95 = 1.959963984540054
# Student's t, 97.5 % point, by degrees of freedom from 1: only for means over seeds alone.
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval, in the scores' unit; the ends are nan if undetermined."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of ``a - b`` over shared units and seeds, and its standard error."""

    mean: float
    error: float
    tie: bool  # |mean| <= 2 standard errors, or nothing to tell them apart by


def deviation(values: list[float]) -> float:
    """Sample standard deviation (n - 1); nan for fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def standard_error(scores: Scores) -> float:
    """Of the mean of ``scores``; nan for one unit under one seed, or for none."""
    num_units, num_seeds = scores.shape
    if scores.size <= 1:
        return math.nan
    units = np.var(scores.mean(axis=1), ddof=1) / num_units if num_units > 1 else 0.0
    seeds = np.var(scores.mean(axis=0), ddof=1) / num_seeds if num_seeds > 1 else 0.0
    return math.sqrt(float(units) + float(seeds))


def interval(scores: Scores) -> Interval:
    """The mean of ``scores`` with its 95 % interval.

    Scores of 0 and 1 keep to [0, 1]; with one seed, or without any variance, they get Wilson's
    interval, which is sound at 0 and 1 too.
    """
    if scores.size == 0:
        return Interval(math.nan, math.nan, math.nan)
    num_units, num_seeds = scores.shape
    mean, error = float(scores.mean()), standard_error(scores)
    binary = bool(np.isin(scores, (0.0, 1.0)).all())
    if binary and (num_seeds == 1 or error == 0.0):
        low, high = wilson(mean, num_units)
        return Interval(mean, low, high)
    half = _critical(scores) * error
    low, high = mean - half, mean + half
    return Interval(mean, max(low, 0.0), min(high, 1.0)) if binary else Interval(mean, low, high)


def _critical(scores: Scores) -> float:
    """Normal where there are units; Student's t where a few seeds are all there is."""
    num_units, num_seeds = scores.shape
    if num_units > 1 or num_seeds - 2 >= len(_T95) or num_seeds < 2:
        return Z95
    return _T95[num_seeds - 2]


def wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share of ``count`` (Wilson 1927; Brown et al. 2001)."""
    z2 = Z95 * Z95
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    spread = share * (1 - share) / count + z2 / (4 * count * count)
    half = Z95 * math.sqrt(max(spread, 0.0)) / (1 + z2 / count)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return (0.0 if share == 0.0 else low), (1.0 if share == 1.0 else high)


def paired_difference(a: Scores, b: Scores) -> Difference:
    """``a - b``, unit by unit and seed by seed; both (U, S) in the same order.

    A tie when the mean is within two standard errors of 0 (with seeds alone and no units, within
    Student's t of them), and when there is nothing to estimate an error from.
    """
    if a.shape != b.shape:
        raise ValueError(f"paired scores must have one shape, but got {a.shape} and {b.shape}")
    if a.size == 0:
        return Difference(math.nan, math.nan, True)
    scores = a - b
    mean, error = float(scores.mean()), standard_error(scores)
    limit = max(2.0, _critical(scores)) * error
    return Difference(mean, error, not abs(mean) > limit)
