"""Segmentation metrics against torchmetrics."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from random_masks import count, masks
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_jaccard_index

from tasks.segmentation import metrics
from tasks.segmentation.masked import IGNORE


@pytest.mark.parametrize("seed", range(3))
def test_scores_agree_with_torchmetrics(seed: int) -> None:
    truth, predicted, classes = masks(seed)
    counts = count(torch.from_numpy(truth), torch.from_numpy(predicted), classes)
    args = (torch.from_numpy(predicted).long(), torch.from_numpy(truth).long())
    options: dict[str, Any] = {"num_classes": classes, "ignore_index": IGNORE}
    theirs = multiclass_jaccard_index(*args, average="none", **options)[:-1]
    assert metrics.class_ious(counts)[:-1] == pytest.approx(theirs.numpy())
    assert metrics.mean_iou(counts) == pytest.approx(float(theirs.mean()))
    pixels = multiclass_accuracy(*args, average="micro", **options)
    assert metrics.pixel_accuracy(counts) == pytest.approx(float(pixels))
    recall = multiclass_accuracy(*args, average="none", **options)[:-1]
    assert metrics.mean_accuracy(counts) == pytest.approx(float(recall.mean()))
