"""Exact tests for one seed: McNemar's test for hits, and sign flips for other means.

Each takes the differences [U] of two configurations over the same units, and returns the two-sided
p value of no difference.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_ENUMERATED = 12  # up to this number of differences, all 2^n signs are tried


def mcnemar(differences: Array) -> float:
    """Apply McNemar's exact test to differences of hits, each -1, 0 or 1.

    Without a difference, half of the nonzero ones are expected to be positive.
    """
    from scipy import stats

    favor, against = int((differences > 0).sum()), int((differences < 0).sum())
    if favor + against == 0:
        return 1.0
    return float(stats.binomtest(favor, favor + against).pvalue)


def sign_flips(differences: Array) -> float:
    """Apply the permutation test that flips the signs of differences.

    Up to n = 12, all 2^n signs are tried. For larger n, the tail is approximated by Lugannani and
    Rice's saddlepoint formula (Davison and Hinkley 1988, "Saddlepoint approximations in resampling
    methods"). Random signs would need a million draws for the small p values that the correction
    for many rows requires. ``tests/unit/results/statistics/test_exact.py`` compares the result with
    scipy's permutation test.
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
    """Approximate P(sum of randomly signed values >= observed)."""
    from scipy import optimize, special

    if observed < 1e-3 * np.sqrt((values**2).sum()):
        return 0.5  # at the mean the formula is 0/0

    def excess(t: float) -> float:
        return float((values * np.tanh(t * values)).sum()) - observed

    high = 1.0
    while excess(high) < 0 and high < 1e6:
        high *= 2
    t = float(optimize.brentq(excess, 0.0, high))
    scaled = np.abs(t * values)  # the cumulants are sums of log cosh(t v)
    cumulant = float((scaled + np.log1p(np.exp(-2 * scaled)) - np.log(2)).sum())
    spread = float((values**2 * (1 - np.tanh(scaled) ** 2)).sum())
    r, v = np.sqrt(2 * (t * observed - cumulant)), t * np.sqrt(spread)
    density = np.exp(-(r**2) / 2) / np.sqrt(2 * np.pi)
    return float(np.clip(special.ndtr(-r) + density * (1 / v - 1 / r), 0.0, 0.5))
