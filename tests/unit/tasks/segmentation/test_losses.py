"""Losses against torch's own and slow oracles, and the learning rate schedule."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tasks.segmentation.losses import SMOOTHING, dice_loss, focal_loss, segmentation_loss
from tasks.segmentation.masked import IGNORE
from tasks.segmentation.params import Params


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 6, 5, generator=generator)
    labels = torch.randint(0, 3, (2, 6, 5), generator=generator).to(torch.uint8)
    labels[0, :2] = IGNORE
    return logits, labels


def test_cross_entropy_is_that_of_torch(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = batch
    found = segmentation_loss(Params(), logits, labels)
    torch.testing.assert_close(found, F.cross_entropy(logits, labels.long(), ignore_index=IGNORE))


def test_focal_loss_by_hand(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = batch
    shares = logits.softmax(1)
    terms = []
    for image, line, column in np.ndindex(*labels.shape):
        label = int(labels[image, line, column])
        if label != IGNORE:
            p = float(shares[image, label, line, column])
            terms.append(-((1 - p) ** 2) * np.log(p))
    assert float(focal_loss(logits, labels, 2.0)) == pytest.approx(np.mean(terms), rel=1e-5)


def test_dice_loss_by_hand(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = batch
    shares = logits.softmax(1)
    counted = labels != IGNORE
    losses = []
    for label in range(3):  # class 3 is not in the labels
        own, truth = shares[:, label][counted], (labels == label)[counted]
        overlap = float(own[truth].sum())
        total = float(own.sum() + truth.sum())
        losses.append(1 - (2 * overlap + SMOOTHING) / (total + SMOOTHING))
    assert float(dice_loss(logits, labels)) == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("loss", ["cross_entropy", "dice", "focal"])
def test_ignored_pixels_have_no_gradient(
    loss: str, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    logits, labels = batch
    logits = logits.requires_grad_()
    segmentation_loss(Params(loss=loss), logits, labels).backward()  # type: ignore[arg-type]
    assert logits.grad is not None
    assert not logits.grad[0, :, :2].any()
    assert logits.grad[1].any()
    logits, everything = logits.detach(), torch.full_like(labels, IGNORE)
    assert float(segmentation_loss(Params(loss=loss), logits, everything)) == 0.0  # type: ignore[arg-type]
