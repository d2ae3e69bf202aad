"""Formulas that aggregate per-sample values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.statistics import (
    aggregation,
    estimate,
)
from tasks.captioning.task import BLEU4
from tasks.contract import StoreError


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


def test_slices_with_a_step_take_pairs_of_any_number() -> None:
    mean_ratio = aggregation("mean(sums[0::2] / sums[1::2])")
    for number in (1, 3, 21):
        parts, totals = np.random.default_rng(number).uniform(1, 2, (2, number))
        sums = np.stack([parts, totals], axis=1).ravel()
        assert mean_ratio(sums) == pytest.approx((parts / totals).mean())


def test_pairs_that_are_no_pairs_are_refused() -> None:
    with pytest.raises(StoreError, match="does not fit 5 columns"):
        aggregation("mean(sums[0::2] / sums[1::2])")(np.ones(5))


def test_bleu_without_matches_is_zero() -> None:
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
        "sums[0::0]",
        "sums[0::-1]",
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
def test_invalid_formula_is_refused_in_one_line(formula: str) -> None:
    with pytest.raises(StoreError, match="is not valid") as caught:
        aggregation(formula)
    assert "\n" not in str(caught.value)


def test_formula_with_too_few_columns_is_refused() -> None:
    with pytest.raises(StoreError, match="needs 10 columns, but got 3"):
        estimate(np.ones((5, 1, 3)), BLEU4)


@given(st.text(st.sampled_from("sum[]():,0123456789+-*/.logexpinmaqrt _'\"ab"), max_size=30))
def test_any_text_is_a_valid_formula_or_refused(text: str) -> None:
    try:
        found = aggregation(text)(np.ones((2, 10_001)))
    except StoreError:
        return
    assert found.shape == (2,)
    assert np.isfinite(found).all()
