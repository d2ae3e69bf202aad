"""Intervals cover what they claim, and equal rows are not called different."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from results.statistics import (
    aggregation,
    average_of_differences,
    compare_with_best,
    difference,
    estimate,
    holm,
)
from results.statistics.exact import mcnemar, sign_flips
from results.statistics.variance import Part, combine
from tasks.captioning.task import BLEU4
from tasks.contract import StoreError

Array = np.ndarray[Any, Any]


def hits(rng: np.random.Generator, share: float, *shape: int) -> Array:
    return (rng.random(shape) < share).astype(float)


# --- intervals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("found", "number"), [(0, 10), (10, 10), (3, 40), (700, 1449)])
def test_hits_of_one_seed_have_wilsons_interval(found: int, number: int) -> None:
    expected = stats.binomtest(found, number).proportion_ci(method="wilson")
    ours = estimate((np.arange(number) < found).astype(float)[:, None])
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_mean_of_one_seed_has_scipys_t_interval() -> None:
    scores = np.random.default_rng(0).exponential(1, (40, 1))
    expected = stats.ttest_1samp(scores[:, 0], 0).confidence_interval(0.95)
    ours = estimate(scores)
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high))


def test_hits_that_ties_share_are_still_a_share() -> None:
    scores = hits(np.random.default_rng(1), 0.02, 200, 1)
    scores[:3] = 0.5
    ours = estimate(scores)
    assert 0 < ours.low < ours.mean < ours.high
    assert ours.high - ours.mean > ours.mean - ours.low


@pytest.mark.parametrize("seeds", [1, 3])
def test_no_hit_at_all_is_no_certainty(seeds: int) -> None:
    ours = estimate(np.zeros((100, seeds)))
    assert (ours.mean, ours.low) == (0, 0)
    assert 0.02 < ours.high < 0.2


def test_one_number_has_no_interval() -> None:
    assert np.isnan(estimate(np.array([[0.3]])).low)
    assert np.isnan(difference(np.array([[0.3]]), np.array([[0.4]])).p_value)


def test_the_variance_counts_the_interaction_once() -> None:
    # Mean squares of a two-way table, spelled out.
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
def test_coverage_over_all_ratios_of_units_and_seeds(f: int) -> None:
    """Integrates coverage over the variance of f + 1 seeds; the variance of units is known."""
    quantiles = (np.arange(1000) + 0.5) / 1000
    drawn = stats.chi2.ppf(quantiles, f) / f
    for share in (0.01, 0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999):
        seeds = [Part(share * x, (share * x) ** 2 / f) for x in drawn]
        found = [combine(Part(1 - share), part, 10**9, True) for part in seeds]
        error = np.array([each.standard_error for each in found])
        half = stats.t.ppf(0.975, [each.df for each in found]) * error
        covered = float(np.mean(2 * stats.norm.cdf(half) - 1))
        assert 0.94 <= covered <= 0.9625, (f, share, covered)


# --- differences ----------------------------------------------------------------------------------


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
def test_few_sign_flips_are_all_tried(values: list[float]) -> None:
    kept = [value for value in values if value]
    reached = [
        abs(sum(s * v for s, v in zip(signs, kept, strict=True))) >= abs(sum(kept)) - 1e-9
        for signs in itertools.product((-1, 1), repeat=len(kept))
    ]
    assert sign_flips(np.array(values)) == pytest.approx(np.mean(reached))


@pytest.mark.parametrize(("number", "shift"), [(14, 0.3), (40, 0.25), (40, 0.0), (300, 0.12)])
def test_many_sign_flips_are_scipys_permutation_test(number: int, shift: float) -> None:
    rng = np.random.default_rng(number)
    values = rng.exponential(1, number) * rng.choice([-1, 1], number) + shift
    drawn = 40_000
    expected = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=drawn, batch=2000, rng=rng
    ).pvalue
    error = (expected * (1 - expected) / drawn) ** 0.5
    assert sign_flips(values) == pytest.approx(expected, abs=4 * error + 0.02 * expected)


def test_the_tail_of_sign_flips_is_the_binomial_one() -> None:
    values = np.r_[np.ones(180), -np.ones(120)]  # far out, where no draw arrives
    values += np.random.default_rng(0).uniform(-1e-3, 1e-3, 300)  # no two sums alike
    exact = 2 * (stats.binom.sf(180, 300, 0.5) + stats.binom.pmf(180, 300, 0.5) / 2)
    assert sign_flips(values) == pytest.approx(exact, rel=0.05)
    assert sign_flips(np.ones(200)) == 2.0**-199


def test_a_mean_of_one_seed_is_tested_by_permutation() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.random((50, 1)), rng.random((50, 1))
    found = difference(one, other)
    assert found.test == "permutation"
    assert found.p_value == pytest.approx(stats.ttest_rel(one[:, 0], other[:, 0]).pvalue, abs=0.02)
    t = stats.ttest_rel(one[:, 0], other[:, 0]).confidence_interval(0.95)
    assert (found.estimate.low, found.estimate.high) == pytest.approx((t.low, t.high))


def test_different_units_are_welchs_test() -> None:
    rng = np.random.default_rng(5)
    one, other = rng.random((300, 1)), rng.random((120, 1)) + 0.05
    found = difference(one, other, same_units=False)
    welch = stats.ttest_ind(one[:, 0], other[:, 0], equal_var=False)
    assert found.p_value == pytest.approx(welch.pvalue)
    assert found.df == pytest.approx(welch.df)


def test_one_unit_over_seeds_is_the_t_test_over_seeds() -> None:
    rng = np.random.default_rng(6)
    one, other = rng.random((1, 6)), rng.random((1, 6))
    found = difference(one, other)
    expected = stats.ttest_rel(one[0], other[0])
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.test == "t over seeds"


def test_one_seed_on_both_sides_claims_nothing_about_seeds() -> None:
    rng = np.random.default_rng(7)
    three, single = rng.random((60, 3)), rng.random((60, 1))
    assert not difference(single, rng.random((60, 1))).over_seeds
    assert difference(three, single, same_seeds=False).over_seeds
    assert difference(three, rng.random((60, 2)), same_seeds=False).over_seeds


def test_a_single_seed_is_as_uncertain_as_those_of_the_other_side() -> None:
    hard = np.random.default_rng(7).random((400, 1))
    shifts = np.array([[-0.07, 0.0, 0.07]])  # of three seeds, on every unit alike
    several, single = hard + shifts, hard + 0.04
    found = difference(several, single, same_seeds=False)
    assert found.seeds_variance == pytest.approx(0.07**2 * (1 + 1 / 3))
    assert found.p_value > 0.5
    assert found.estimate.low < -0.3 < 0.3 < found.estimate.high
    assert difference(single, several, same_seeds=False).p_value == pytest.approx(found.p_value)


def test_an_aggregate_that_no_resample_changes_is_not_tested() -> None:
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


def test_scores_that_never_vary_have_no_interval_of_no_width() -> None:
    hits, rouge, bleu = np.ones((20, 1)), np.full((20, 2), 0.3), np.zeros((20, 2, 10))
    found = difference(hits, hits)  # of one more discordant pair in each direction
    assert (found.p_value, found.estimate.mean) == (1, 0)
    assert found.estimate.high == pytest.approx(0.148, abs=1e-3)
    assert found.estimate.low == -found.estimate.high
    assert np.isnan([estimate(rouge).low, difference(rouge, rouge).estimate.low]).all()
    assert np.isnan(estimate(bleu, BLEU4).low)
    assert estimate(hits).low < 1  # Wilson's


def test_pairing_finds_what_lone_intervals_miss() -> None:
    hard = np.random.default_rng(1).random((500, 1))
    one, other = (hard < 0.5).astype(float), (hard < 0.54).astype(float)
    assert difference(one, other).p_value < 0.05
    assert estimate(one).high > estimate(other).low
    assert difference(one, one).p_value == 1


def bleu_values(rng: np.random.Generator, units: int, seeds: int) -> Array:
    totals = np.tile([12, 11, 10, 9], (units, seeds, 1))
    matches = rng.binomial(totals, [0.8, 0.6, 0.4, 0.3])
    return np.concatenate([matches, totals, np.full((units, seeds, 2), 12)], axis=2)


def test_the_difference_in_bleu_is_a_paired_bootstrap() -> None:
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


def test_an_aggregate_that_is_a_mean_has_the_means_uncertainty() -> None:
    rng = np.random.default_rng(9)
    scores = rng.normal(0.5, 0.1, (200, 3)) + rng.normal(0, 0.1, (200, 1)) + [0.0, 0.02, 0.05]
    sums = np.stack([scores, np.ones_like(scores)], axis=2)
    by_formula = difference(sums, sums * [0.9, 1.0], aggregate="sums[0] / sums[1]")
    plain = difference(scores, 0.9 * scores)
    assert by_formula.standard_error == pytest.approx(plain.standard_error, rel=0.1)
    assert by_formula.df == pytest.approx(plain.df, rel=0.2)


# --- many differences -----------------------------------------------------------------------------


def test_seeds_that_agree_make_no_interval_narrower_than_over_queries_alone() -> None:
    rng = np.random.default_rng(0)
    rest = rng.normal(0, 1, (400, 2))
    scores = rest - rest.mean(0) + [0.050, 0.051]  # queries are lucky or not by seed; seeds agree
    nothing = np.zeros_like(scores)
    own = difference(scores, nothing)
    found = difference(scores, nothing, average=average_of_differences([(scores, nothing)]))
    over_queries = stats.sem(scores.mean(1))
    assert own.standard_error < 0.8 * over_queries
    assert found.standard_error >= over_queries * (1 - 1e-9)


@pytest.mark.parametrize(("ours", "theirs"), [(2, 2), (3, 2), (1, 3)])
def test_the_variance_over_seeds_is_the_mean_of_those_of_all_pairs(ours: int, theirs: int) -> None:
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
    assert alone.value == pytest.approx(np.mean(own))  # of one unit no interaction is known
    assert average_of_differences([(p[:, :1], q[:, :1]) for p, q in pairs]) is None


def test_a_seed_that_moves_all_rows_alike_counts_once() -> None:
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


# --- many rows ------------------------------------------------------------------------------------


def test_two_rows_are_their_own_test() -> None:
    rng = np.random.default_rng(11)
    for seeds in (1, 3):
        rows = [hits(rng, share, 200, seeds) for share in (0.5, 0.4)]
        found = compare_with_best(rows)
        other = 1 - found.best
        expected = difference(rows[found.best], rows[other]).p_value
        assert found.p_values[other] == pytest.approx(expected)


def test_many_rows_are_tukeys_test_where_all_is_equal() -> None:
    # Independent rows of one seed with many units: the studentized range itself.
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
    # Holm (1979): the smallest times 4, the next times 3, ..., never below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.6, 0.7]) == [1.0, 1.0]


# --- aggregates -----------------------------------------------------------------------------------


def test_mean_iou_of_three_classes() -> None:
    rng = np.random.default_rng(14)
    predicted, truth = rng.integers(0, 3, (2, 20, 64))  # 20 images of 64 pixels
    classes = np.arange(3)[:, None, None]
    both = ((predicted == classes) & (truth == classes)).sum(2)
    either = ((predicted == classes) | (truth == classes)).sum(2)
    values = np.concatenate([both, either]).T[:, None, :]  # [U, 1, 6]
    formula = "mean(sums[0:3] / sums[3:6])"
    ious = [
        np.sum((predicted == c) & (truth == c)) / np.sum((predicted == c) | (truth == c))
        for c in range(3)
    ]
    found = estimate(values, formula)
    assert found.mean == pytest.approx(np.mean(ious))
    assert found.low < found.mean < found.high


def test_bleu_without_a_match_is_zero_and_old_sweeps_name_it() -> None:
    sums = np.array([[8, 4, 1, 0, 10, 9, 8, 7, 10, 10], [8, 4, 2, 1, 10, 9, 8, 7, 9, 10]], float)
    assert aggregation(BLEU4)(sums).tolist() == aggregation("bleu4")(sums).tolist()
    by_hand = 100 * np.exp(np.mean(np.log([8 / 10, 4 / 9, 2 / 8, 1 / 7])) + 1 - 10 / 9)
    assert aggregation(BLEU4)(sums).tolist() == pytest.approx([0.0, by_hand])


@pytest.mark.parametrize(
    "formula",
    [
        "",
        "sums",
        "mean(sums)",
        "sums[-1]",
        "sums[0:4:2]",
        "sums[4:2]",
        "sums[1.5]",
        "sums[99999999]",
        "__import__('os').system('true')",
        "sums.__class__",
        "(lambda: 1)()",
        "[1 for x in sums]",
        "open('x')",
        "exp(sums[0], sums[1])",
        "min(sums[0], sums[1], sums[2])",
        "mean(sums[0], keepdims=False)",
        "sums[0:2] + sums[0:3]",
        "'a'",
        "True",
        "1j",
        "(" * 400 + "1" + ")" * 400,
        "1+" * 1000 + "1",
    ],
)
def test_a_formula_that_is_no_arithmetic_is_one_clear_line(formula: str) -> None:
    with pytest.raises(StoreError, match="is not valid") as caught:
        aggregation(formula)
    assert "\n" not in str(caught.value)


def test_a_formula_of_too_many_columns_is_one_clear_line() -> None:
    with pytest.raises(StoreError, match="needs 10 columns, but got 3"):
        estimate(np.ones((5, 1, 3)), BLEU4)


@given(st.text(st.sampled_from("sum[]():,0123456789+-*/.logexpinmaqrt _'\"ab"), max_size=30))
def test_any_text_is_a_formula_or_refused(text: str) -> None:
    try:
        function = aggregation(text)
    except StoreError:
        return
    found = function(np.ones((2, 10_001)))
    assert found.shape == (2,)
    assert np.isfinite(found).all()
