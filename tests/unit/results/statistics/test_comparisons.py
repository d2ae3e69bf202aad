"""Differences between two rows, and comparisons of many rows."""

from __future__ import annotations

import numpy as np
import pytest
from random_scores import bleu_values, hits
from scipy import stats

from results.statistics import (
    aggregation,
    compare_with_best,
    difference,
    estimate,
    holm,
)
from tasks.captioning.task import BLEU4


def test_a_mean_of_one_seed_is_tested_by_permutation() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.random((50, 1)), rng.random((50, 1))
    found = difference(one, other)
    assert found.test == "permutation"
    assert found.p_value == pytest.approx(stats.ttest_rel(one[:, 0], other[:, 0]).pvalue, abs=0.02)
    t = stats.ttest_rel(one[:, 0], other[:, 0]).confidence_interval(0.95)
    assert (found.estimate.low, found.estimate.high) == pytest.approx((t.low, t.high))


def test_different_units_use_welchs_test() -> None:
    rng = np.random.default_rng(5)
    one, other = rng.random((300, 1)), rng.random((120, 1)) + 0.05
    found = difference(one, other, same_units=False)
    welch = stats.ttest_ind(one[:, 0], other[:, 0], equal_var=False)
    assert found.p_value == pytest.approx(welch.pvalue)
    assert found.df == pytest.approx(welch.df)


def test_one_unit_uses_a_t_test_over_seeds() -> None:
    rng = np.random.default_rng(6)
    one, other = rng.random((1, 6)), rng.random((1, 6))
    found = difference(one, other)
    expected = stats.ttest_rel(one[0], other[0])
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.test == "t over seeds"


def test_one_seed_on_both_sides_ignores_seeds() -> None:
    rng = np.random.default_rng(7)
    three, single = rng.random((60, 3)), rng.random((60, 1))
    assert not difference(single, rng.random((60, 1))).over_seeds
    assert difference(three, single, same_seeds=False).over_seeds
    assert difference(three, rng.random((60, 2)), same_seeds=False).over_seeds


def test_single_seed_borrows_the_variance_of_the_other_side() -> None:
    hard = np.random.default_rng(7).random((400, 1))
    shifts = np.array([[-0.07, 0.0, 0.07]])  # of three seeds, on every unit alike
    several, single = hard + shifts, hard + 0.04
    found = difference(several, single, same_seeds=False)
    assert found.seeds_variance == pytest.approx(0.07**2 * (1 + 1 / 3))
    assert found.p_value > 0.5
    assert found.estimate.low < -0.3 < 0.3 < found.estimate.high
    assert difference(single, several, same_seeds=False).p_value == pytest.approx(found.p_value)


def test_constant_aggregate_is_not_tested() -> None:
    rng = np.random.default_rng(3)
    good, zero = bleu_values(rng, 40, 2), bleu_values(rng, 40, 2)
    zero[:, :, :4] = 0
    found = difference(good, zero, aggregate=BLEU4)
    assert found.estimate.mean > 0
    assert np.isnan([found.p_value, found.estimate.low, found.estimate.high]).all()
    compared = compare_with_best([good, zero, bleu_values(rng, 40, 2)], aggregate=BLEU4)
    assert np.isnan(compared.p_values[1])
    assert not np.isnan(compared.p_values[2])
    assert not compared.beaten[1]


def test_constant_scores_have_no_zero_width_interval() -> None:
    hits, rouge, bleu = np.ones((20, 1)), np.full((20, 2), 0.3), np.zeros((20, 2, 10))
    found = difference(hits, hits)  # as with one discordant pair in each direction
    assert (found.p_value, found.estimate.mean) == (1, 0)
    assert found.estimate.high == pytest.approx(0.148, abs=1e-3)
    assert found.estimate.low == -found.estimate.high
    assert np.isnan([estimate(rouge).low, difference(rouge, rouge).estimate.low]).all()
    assert np.isnan(estimate(bleu, BLEU4).low)
    assert estimate(hits).low < 1  # Wilson's


def test_pairing_finds_differences_that_separate_intervals_miss() -> None:
    hard = np.random.default_rng(1).random((500, 1))
    one, other = (hard < 0.5).astype(float), (hard < 0.54).astype(float)
    assert difference(one, other).p_value < 0.05
    assert estimate(one).high > estimate(other).low
    assert difference(one, one).p_value == 1


def test_difference_in_bleu_is_a_paired_bootstrap() -> None:
    rng, bleu = np.random.default_rng(4), aggregation(BLEU4)
    other = bleu_values(rng, 60, 1)
    one = other.copy()
    one[..., :4] = np.minimum(other[..., :4] + rng.binomial(1, 0.3, (60, 1, 4)), other[..., 4:8])
    found = difference(one, other, aggregate=BLEU4)
    assert found.estimate.mean == pytest.approx(float((bleu(one.sum(0)) - bleu(other.sum(0)))[0]))
    picked = rng.integers(0, 60, (2000, 60))
    drawn = bleu(one[picked].sum(1)) - bleu(other[picked].sum(1))
    assert found.standard_error == pytest.approx(np.std(drawn), rel=0.1)
    assert found.test == "bootstrap"


def test_aggregate_equal_to_a_mean_has_its_standard_error() -> None:
    rng = np.random.default_rng(9)
    scores = rng.normal(0.5, 0.1, (200, 3)) + rng.normal(0, 0.1, (200, 1)) + [0.0, 0.02, 0.05]
    sums = np.stack([scores, np.ones_like(scores)], axis=2)
    by_formula = difference(sums, sums * [0.9, 1.0], aggregate="sums[0] / sums[1]")
    plain = difference(scores, 0.9 * scores)
    assert by_formula.standard_error == pytest.approx(plain.standard_error, rel=0.1)
    assert by_formula.df == pytest.approx(plain.df, rel=0.2)


def test_two_rows_are_tested_without_adjustment() -> None:
    rng = np.random.default_rng(11)
    for seeds in (1, 3):
        rows = [hits(rng, share, 200, seeds) for share in (0.5, 0.4)]
        found = compare_with_best(rows)
        other = 1 - found.best
        expected = difference(rows[found.best], rows[other]).p_value
        assert found.p_values[other] == pytest.approx(expected)


def test_many_equal_rows_match_tukeys_test() -> None:
    # For independent rows of one seed with many units, this is the studentized range.
    rows = [row[:, None] for row in np.random.default_rng(12).normal(0, 1, (6, 4000))]
    found = compare_with_best(rows)
    means = np.array([row.mean() for row in rows])
    q = (means[found.best] - means) * np.sqrt(4000)
    expected = stats.studentized_range.sf(q, 6, np.inf)
    assert np.delete(found.p_values, found.best) == pytest.approx(
        np.delete(expected, found.best), abs=0.03
    )


def test_equal_scores_are_a_tie() -> None:
    row = hits(np.random.default_rng(13), 0.5, 50, 3)
    assert compare_with_best([row, row, row]).beaten == (False, False, False)


def test_holms_adjustment() -> None:
    # Holm (1979): the smallest p times 4, the next times 3, ..., never below the previous one.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.6, 0.7]) == [1.0, 1.0]
