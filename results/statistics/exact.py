"""Exact tests of one seed: McNemar's for hits, sign flips for any other mean.

Each takes the differences [U] between two configurations over the same units and gives the
two-sided p value of "neither is better".
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_ENUMERATED = 12  # differences of which all 2^n signs are tried


def mcnemar(differences: Array) -> float:
    """McNemar's exact test of differences in hits, each -1, 0 or 1.

    Of the units where the two differ, half should favor either.
    """
    from scipy import stats

    favor, against = int((differences > 0).sum()), int((differences < 0).sum())
    if favor + against == 0:
        return 1.0
    return float(stats.binomtest(favor, favor + against).pvalue)


def sign_flips(differences: Array) -> float:
    """The permutation test that flips the sign of each difference.

    All 2^n signs are tried up to n = 12. Beyond, the tail is Lugannani and Rice's saddlepoint
    approximation (Davison and Hinkley 1988, "Saddlepoint approximations in resampling methods"):
    drawing signs would take a million draws for the small p values that a correction for many
    rows needs. ``tests/unit/results/statistics/test_exact.py`` holds it against scipy's
    permutation test.
    """
    values = differences[differences != 0].astype(np.float64)
    if not len(values):
        return 1.0
    values = np.abs(values) / np.abs(values).max()
    observed = float(abs(differences.sum()) / np.abs(differences).max())
    if len(values) <= _ENUMERATED:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(values))))
        return float((np.abs(signs @ values) >= observed - 1e-9).mean())
    if observed >= values.sum() - 1e-9:
        return float(2.0 ** (1 - len(values)))
    return min(1.0, 2 * _saddlepoint_tail(values, observed))


def _saddlepoint_tail(values: Array, observed: float) -> float:
    """P(sum of randomly signed values >= observed); the cumulants are sums of log cosh(t v)."""
    from scipy import optimize, special

    if observed < 1e-3 * np.sqrt((values**2).sum()):
        return 0.5  # the formula is 0/0 at the mean

    def excess(t: float) -> float:
        return float((values * np.tanh(t * values)).sum()) - observed

    high = 1.0
    while excess(high) < 0 and high < 1e6:
        high *= 2
    t = float(optimize.brentq(excess, 0.0, high))
    scaled = np.abs(t * values)
    cumulant = float((scaled + np.log1p(np.exp(-2 * scaled)) - np.log(2)).sum())
    spread = float((values**2 * (1 - np.tanh(scaled) ** 2)).sum())
    r, v = np.sqrt(2 * (t * observed - cumulant)), t * np.sqrt(spread)
    density = np.exp(-(r**2) / 2) / np.sqrt(2 * np.pi)
    return float(np.clip(special.ndtr(-r) + density * (1 / v - 1 / r), 0.0, 0.5))
