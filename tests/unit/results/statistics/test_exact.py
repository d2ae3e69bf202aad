"""Exact tests compared with scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from results.statistics import (
    difference,
)
from results.statistics.exact import mcnemar, sign_flips


def test_mcnemar_is_the_binomial_test_of_discordant_pairs() -> None:
    one = np.r_[np.ones(9), np.zeros(2), np.ones(50), np.zeros(39)][:, None]
    other = np.r_[np.zeros(9), np.ones(2), np.ones(50), np.zeros(39)][:, None]
    found = difference(one, other)
    by_hand = 2 * sum(stats.binom.pmf(k, 11, 0.5) for k in range(3))
    assert found.test == "McNemar"
    assert found.p_value == pytest.approx(by_hand)
    assert not found.over_seeds
    assert mcnemar(np.zeros(5)) == 1.0


@given(st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=1, max_size=9))
def test_few_sign_flips_are_enumerated(values: list[float]) -> None:
    kept = [value for value in values if value]
    reached = [
        abs(sum(s * v for s, v in zip(signs, kept, strict=True))) >= abs(sum(kept)) - 1e-9
        for signs in itertools.product((-1, 1), repeat=len(kept))
    ]
    assert sign_flips(np.array(values)) == pytest.approx(np.mean(reached))


@pytest.mark.parametrize(("number", "shift"), [(14, 0.3), (40, 0.25), (40, 0.0), (300, 0.12)])
def test_many_sign_flips_match_scipy(number: int, shift: float) -> None:
    rng = np.random.default_rng(number)
    values = rng.exponential(1, number) * rng.choice([-1, 1], number) + shift
    drawn = 40_000
    expected = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=drawn, batch=2000, rng=rng
    ).pvalue
    error = (expected * (1 - expected) / drawn) ** 0.5
    assert sign_flips(values) == pytest.approx(expected, abs=4 * error + 0.02 * expected)


def test_sign_flips_are_accurate_in_the_tail() -> None:
    values = np.r_[np.ones(180), -np.ones(120)]  # so far in the tail that no random draw reaches it
    values += np.random.default_rng(0).uniform(-1e-3, 1e-3, 300)  # no ties between sums
    exact = 2 * (stats.binom.sf(180, 300, 0.5) + stats.binom.pmf(180, 300, 0.5) / 2)
    assert sign_flips(values) == pytest.approx(exact, rel=0.05)
    assert sign_flips(np.ones(200)) == 2.0**-199
