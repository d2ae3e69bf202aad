"""Variances over units and seeds, and the intervals they give."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from results.statistics import (
    difference,
)
from results.statistics.variance import VarianceComponent, combine


def test_variance_counts_the_interaction_once() -> None:
    # The mean squares of a two-way table, written out.
    scores = np.random.default_rng(2).normal(0, 1, (30, 4)) + np.arange(30)[:, None] / 5
    units, seeds = scores.shape
    per_unit, per_seed, mean = scores.mean(1), scores.mean(0), scores.mean()
    ms_units = seeds * sum((m - mean) ** 2 for m in per_unit) / (units - 1)
    ms_seeds = units * sum((m - mean) ** 2 for m in per_seed) / (seeds - 1)
    rest = sum(
        (scores[u, s] - per_unit[u] - per_seed[s] + mean) ** 2
        for u, s in itertools.product(range(units), range(seeds))
    )
    ms_rest = rest / ((units - 1) * (seeds - 1))
    expected = (ms_units + ms_seeds - ms_rest) / (units * seeds)
    found = difference(scores, np.zeros_like(scores))
    assert found.standard_error**2 == pytest.approx(expected)
    assert found.over_seeds


@pytest.mark.parametrize("f", [1, 2, 4, 9, 19])
def test_intervals_cover_at_any_ratio_of_variances(f: int) -> None:
    """Integrates the coverage over the variance of f + 1 seeds; the variance of units is known."""
    quantiles = (np.arange(1000) + 0.5) / 1000
    drawn = stats.chi2.ppf(quantiles, f) / f
    for share in (0.01, 0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999):
        seeds = [VarianceComponent(share * x, (share * x) ** 2 / f) for x in drawn]
        found = [combine(VarianceComponent(1 - share), part, 10**9, True) for part in seeds]
        error = np.array([each.standard_error for each in found])
        half = stats.t.ppf(0.975, [each.df for each in found]) * error
        covered = float(np.mean(2 * stats.norm.cdf(half) - 1))
        assert 0.94 <= covered <= 0.9625, (f, share, covered)
