"""Intervals of single rows."""

from __future__ import annotations

import numpy as np
import pytest
from random_scores import hits
from scipy import stats

from results.statistics import (
    difference,
    estimate,
)


@pytest.mark.parametrize(("found", "number"), [(0, 10), (10, 10), (3, 40), (700, 1449)])
def test_hits_of_one_seed_have_a_wilson_interval(found: int, number: int) -> None:
    expected = stats.binomtest(found, number).proportion_ci(method="wilson")
    ours = estimate((np.arange(number) < found).astype(float)[:, None])
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_mean_of_one_seed_has_a_t_interval() -> None:
    scores = np.random.default_rng(0).exponential(1, (40, 1))
    expected = stats.ttest_1samp(scores[:, 0], 0).confidence_interval(0.95)
    ours = estimate(scores)
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high))


def test_fractional_hits_have_an_asymmetric_interval() -> None:
    scores = hits(np.random.default_rng(1), 0.02, 200, 1)
    scores[:3] = 0.5
    ours = estimate(scores)
    assert 0 < ours.low < ours.mean < ours.high
    assert ours.high - ours.mean > ours.mean - ours.low


@pytest.mark.parametrize("seeds", [1, 3])
def test_zero_hits_have_a_positive_upper_bound(seeds: int) -> None:
    ours = estimate(np.zeros((100, seeds)))
    assert (ours.mean, ours.low) == (0, 0)
    assert 0.02 < ours.high < 0.2


def test_one_number_has_no_interval() -> None:
    assert np.isnan(estimate(np.array([[0.3]])).low)
    assert np.isnan(difference(np.array([[0.3]]), np.array([[0.4]])).p_value)
