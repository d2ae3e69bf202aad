"""The variance over seeds, averaged over many differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from results.statistics import (
    average_of_differences,
    difference,
)


def test_agreeing_seeds_do_not_narrow_the_interval_below_that_over_queries() -> None:
    rng = np.random.default_rng(0)
    rest = rng.normal(0, 1, (400, 2))
    scores = (
        rest - rest.mean(0) + [0.050, 0.051]
    )  # queries differ by seed, the means of the seeds agree
    nothing = np.zeros_like(scores)
    own = difference(scores, nothing)
    found = difference(scores, nothing, average=average_of_differences([(scores, nothing)]))
    over_queries = stats.sem(scores.mean(1))
    assert own.standard_error < 0.8 * over_queries
    assert found.standard_error >= over_queries * (1 - 1e-9)


@pytest.mark.parametrize(("ours", "theirs"), [(2, 2), (3, 2), (1, 3)])
def test_seed_variance_is_averaged_over_pairs(ours: int, theirs: int) -> None:
    rng = np.random.default_rng(2)
    pairs = [(rng.normal(0, 1, (5, ours)), rng.normal(0, 1, (5, theirs))) for _ in range(7)]
    same = ours == theirs
    found = average_of_differences(pairs, same_seeds=same)
    assert found is not None
    own = [difference(*pair, same_seeds=same).seeds_variance for pair in pairs]
    assert found.value >= np.mean(own) - 1e-12
    means = [(one.mean(0), other.mean(0)) for one, other in pairs]
    alone = average_of_differences([(a[None], b[None]) for a, b in means], same_seeds=same)
    assert alone is not None
    assert alone.value == pytest.approx(np.mean(own))  # with one unit there is no interaction
    assert average_of_differences([(p[:, :1], q[:, :1]) for p, q in pairs]) is None


def test_seed_effect_common_to_all_rows_counts_once() -> None:
    shift = np.array([[0.1, -0.1, 0.3]])
    pairs = [(shift, np.zeros((1, 3)))] * 10
    found = average_of_differences(pairs)
    assert found is not None
    assert found.df == pytest.approx(2)
    rng = np.random.default_rng(3)
    apart = [(rng.normal(0, 1, (1, 3)), np.zeros((1, 3))) for _ in range(400)]
    found = average_of_differences(apart)
    assert found is not None
    assert 600 < found.df <= 800
