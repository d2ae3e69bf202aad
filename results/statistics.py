"""Means with their uncertainty, and which differences are more than chance. numpy only.

Scores are [U, S]: one per unit (query, image) and seed. Units and seeds are both samples, so the
variance of a mean has two parts: over units of the seeds' mean, and over seeds of the units' mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Z = 1.959963984540054  # of a two-sided 95 % interval


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


def standard_error(scores: np.ndarray[Any, Any]) -> float:
    """The standard error of the mean of scores [U, S]."""
    units, seeds = scores.shape
    over_units = scores.mean(1).var(ddof=1) / units if units > 1 else 0.0
    over_seeds = scores.mean(0).var(ddof=1) / seeds if seeds > 1 else 0.0
    return math.sqrt(over_units + over_seeds)


def estimate(scores: np.ndarray[Any, Any]) -> Estimate:
    """The mean of scores [U, S]; Wilson's interval for hits and misses of one seed."""
    mean = float(scores.mean())
    if scores.shape[1] == 1 and bool(np.isin(scores, (0.0, 1.0)).all()):
        return wilson(mean, scores.shape[0])
    half = Z * standard_error(scores)
    return Estimate(mean, mean - half, mean + half)


def wilson(share: float, number: int) -> Estimate:
    """Wilson's score interval of a share of ``number`` hits and misses (Wilson 1927)."""
    centre = (share + Z**2 / (2 * number)) / (1 + Z**2 / number)
    spread = math.sqrt(share * (1 - share) / number + Z**2 / (4 * number**2))
    half = Z * spread / (1 + Z**2 / number)
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half))


def is_tie(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    """Whether two configurations' paired scores [U, S] differ by at most two standard errors."""
    difference = one - other
    return abs(float(difference.mean())) <= 2 * standard_error(difference)
