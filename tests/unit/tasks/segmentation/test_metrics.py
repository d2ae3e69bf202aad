"""Segmentation metrics against slow oracles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_masks import count, masks

from results.statistics import aggregation
from tasks.segmentation import formulas, metrics
from tasks.segmentation.masked import IGNORE


def slow_counts(truth: Any, predicted: Any, classes: int) -> list[list[tuple[int, int, int, int]]]:
    """Intersection, union, truth and prediction of each class in each image, pixel by pixel."""
    found = []
    for real, own in zip(truth.tolist(), predicted.tolist(), strict=True):
        rows = []
        for label in range(classes):
            both = either = in_truth = in_prediction = 0
            for real_line, own_line in zip(real, own, strict=True):
                for one, other in zip(real_line, own_line, strict=True):
                    if one == IGNORE:
                        continue
                    both += one == label and other == label
                    either += label in (one, other)
                    in_truth += one == label
                    in_prediction += other == label
            rows.append((both, either, in_truth, in_prediction))
        found.append(rows)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_counts_and_scores_agree_with_a_slow_oracle(seed: int) -> None:
    truth, predicted, classes = masks(seed)
    counts = count(torch.from_numpy(truth), torch.from_numpy(predicted), classes)
    slow = np.array(slow_counts(truth, predicted, classes))
    np.testing.assert_array_equal(counts.both, slow[..., 0])
    np.testing.assert_array_equal(counts.union, slow[..., 1])
    np.testing.assert_array_equal(counts.truth, slow[..., 2])
    np.testing.assert_array_equal(counts.predicted, slow[..., 3])
    totals = slow.sum(0)
    ious = [both / either for both, either, _, _ in totals if either]
    assert metrics.mean_iou(counts) == pytest.approx(np.mean(ious))
    assert np.isnan(metrics.class_ious(counts)[-1])  # the class that never occurs
    of_image = [[b / e for b, e, _, _ in rows if e] for rows in slow]
    assert metrics.image_ious(counts) == pytest.approx([np.mean(each) for each in of_image])


def test_mean_iou_is_over_the_whole_set_not_over_images() -> None:
    truth = torch.zeros(2, 2, 2, dtype=torch.uint8)
    predicted = torch.zeros(2, 2, 2, dtype=torch.uint8)
    truth[0, 0, 0] = predicted[1] = (
        1  # image 0 lacks the only pixel of class 1; image 1 is all wrong
    )
    counts = count(truth, predicted, 2)
    assert metrics.mean_iou(counts) == pytest.approx((3 / 8 + 0) / 2)
    assert metrics.image_ious(counts) == pytest.approx([3 / 8, 0.0])


def test_ignored_images_count_neither_way() -> None:
    truth = torch.full((1, 4, 4), IGNORE, dtype=torch.uint8)
    counts = count(truth, torch.ones_like(truth), 3)
    assert metrics.mean_iou(counts) == metrics.pixel_accuracy(counts) == 0.0
    assert metrics.image_ious(counts).tolist() == [1.0]
    assert metrics.boundary_f(truth, torch.ones_like(truth), 3).tolist() == [1.0]


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_formulas_give_the_metrics(seed: int) -> None:
    truth, predicted, classes = masks(seed)
    counts = count(torch.from_numpy(truth), torch.from_numpy(predicted), classes)
    overlap = np.array(metrics.interleave(counts.both, counts.union)).sum(0)
    recall = np.array(metrics.interleave(counts.both, counts.truth)).sum(0)
    mean_ratio = aggregation(formulas.MEAN_RATIO)
    assert float(mean_ratio(overlap)) == pytest.approx(metrics.mean_iou(counts))
    assert float(mean_ratio(recall)) == pytest.approx(metrics.mean_accuracy(counts))
    pixels = np.array([counts.both.sum(), counts.truth.sum()])
    assert float(aggregation(formulas.RATIO)(pixels)) == metrics.pixel_accuracy(counts)


def slow_boundary(labels: Any, label: int) -> set[tuple[int, int]]:
    """The pixels of a class with a neighbor of another class in the image."""
    height, width = labels.shape
    found = set()
    for y, x in zip(*np.nonzero(labels == label), strict=True):
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            v, u = y + dy, x + dx
            if 0 <= v < height and 0 <= u < width and labels[v, u] not in (label, IGNORE):
                found.add((int(y), int(x)))
    return found


def slow_boundary_f(truth: Any, predicted: Any, radius: int) -> float:
    predicted = np.where(truth == IGNORE, IGNORE, predicted)
    scores = []
    for label in {*np.unique(truth), *np.unique(predicted)} - {IGNORE}:
        real, own = slow_boundary(truth, label), slow_boundary(predicted, label)
        if not real and not own:
            continue

        def share(points: set[Any], others: set[Any]) -> float:
            near = [
                any(max(abs(y - v), abs(x - u)) <= radius for v, u in others) for y, x in points
            ]
            return float(np.mean(near)) if near else 0.0

        precision, recall = share(own, real), share(real, own)
        total = precision + recall
        scores.append(2 * precision * recall / total if total else 0.0)
    return float(np.mean(scores)) if scores else 1.0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [4, 255])
def test_boundary_f_agrees_with_a_slow_oracle(
    seed: int, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two radii, and with more classes than an integer has bits."""
    for radius, tolerance in ((1, 0.0075), (2, 0.08)):
        monkeypatch.setattr(metrics, "BOUNDARY_TOLERANCE", tolerance)
        truth, predicted, _ = masks(seed, size=18, classes=classes)
        found = metrics.boundary_f(torch.from_numpy(truth), torch.from_numpy(predicted), classes)
        slow = [
            slow_boundary_f(*pair, radius=radius) for pair in zip(truth, predicted, strict=True)
        ]
        assert found == pytest.approx(slow)


def test_boundary_tolerance_grows_with_the_image() -> None:
    truth = torch.zeros(1, 320, 240, dtype=torch.uint8)
    truth[:, :, 120:] = 1
    for shift, expected in ((3, 1.0), (4, 0.0)):  # 0.75 % of the diagonal of 400 is 3 pixels
        predicted = torch.zeros_like(truth)
        predicted[:, :, 120 + shift :] = 1
        score = float(metrics.boundary_f(truth, predicted, 2)[0])
        assert score == pytest.approx(expected)


def test_frame_and_ignored_pixels_make_no_boundary() -> None:
    truth = torch.zeros(1, 40, 40, dtype=torch.uint8)
    truth[:, 10:30, 10:30] = IGNORE
    truth[:, 12:28, 12:28] = 1
    background = torch.zeros_like(truth)
    assert metrics.boundary_f(truth, truth, 2)[0] == 1.0
    assert metrics.boundary_f(truth, background, 2)[0] == 1.0  # no boundary is known
    truth[truth == IGNORE] = 0
    assert metrics.boundary_f(truth, background, 2)[0] == 0.0
    assert metrics.boundary_f(background, background, 2)[0] == 1.0
