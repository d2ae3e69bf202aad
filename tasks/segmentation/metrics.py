"""Scores of predicted masks, per image and over a whole set.

N images, C classes
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float64, Int32, Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from tasks.segmentation.masked import IGNORE

Array = NDArray[Any]
BOUNDARY_TOLERANCE = 0.0075  # of the image's diagonal, and at least one pixel
WORD = 31  # classes that an integer has bits for


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Numbers of pixels per image and class [N, C], without ignored pixels."""

    both: Array  # of the class in truth and prediction: the intersection
    truth: Array
    predicted: Array

    @classmethod
    def of(cls, pixels: Int64[Tensor, "3 N C"]) -> Counts:
        """Return the result of ``count_pixels`` as numpy arrays."""
        return cls(**dict(zip(("both", "truth", "predicted"), pixels.cpu().numpy(), strict=True)))

    @property
    def union(self) -> Array:
        """Pixels of the class in truth or prediction."""
        return self.truth + self.predicted - self.both


def count_pixels(
    truth: UInt8[Tensor, "N H W"], predicted: UInt8[Tensor, "N H W"], num_classes: int
) -> Int64[Tensor, "3 N C"]:
    """Count the pixels of each class in each image: of both, of the truth, of the prediction.

    ``Counts.of`` names them. Ignored pixels do not count.
    """
    # The row after the last takes ignored pixels; to select the others would wait for the device.
    rows = torch.where(truth == IGNORE, num_classes, truth.int())
    index = (rows * num_classes + predicted).flatten(1).long()
    pairs = index.new_zeros(len(index), (num_classes + 1) * num_classes)
    pairs.scatter_add_(1, index, torch.ones_like(index))
    confusion = pairs.view(-1, num_classes + 1, num_classes)[:, :num_classes]
    both = confusion.diagonal(dim1=1, dim2=2)
    return torch.stack([both, confusion.sum(2), confusion.sum(1)])


def class_ious(counts: Counts) -> Array:
    """Return the IoU of each class over the whole set [C]; nan if it never occurs."""
    union = counts.union.sum(0)
    return np.where(union > 0, counts.both.sum(0) / np.maximum(union, 1), np.nan)


def mean_iou(counts: Counts) -> float:
    """Return the mean over the classes that occur of their IoU over the whole set."""
    return _mean_ratio(counts.both.sum(0), counts.union.sum(0))


def mean_accuracy(counts: Counts) -> float:
    """Return the mean over classes of the share of a class's pixels that are found."""
    return _mean_ratio(counts.both.sum(0), counts.truth.sum(0))


def pixel_accuracy(counts: Counts) -> float:
    """Return the share of pixels of the whole set that have the right class."""
    return float(counts.both.sum() / max(1, counts.truth.sum()))


def _mean_ratio(parts: Array, totals: Array) -> float:
    """Return the mean of parts / totals where totals are not 0; 0 if all are."""
    ratios = parts / np.maximum(totals, 1)
    return float(ratios.sum() / max(1, np.count_nonzero(totals)))


def image_ious(counts: Counts) -> Array:
    """Return each image's own mean IoU over the classes in its truth or prediction [N].

    An image whose pixels are all ignored scores 1.
    """
    present = counts.union > 0
    ious = counts.both / np.maximum(counts.union, 1)
    return np.asarray(
        np.where(present.any(1), (ious * present).sum(1) / np.maximum(present.sum(1), 1), 1.0)
    )


def interleave(first: Array, second: Array) -> list[list[float]]:
    """Return [a0, b0, a1, b1, ...] of each row, for formulas over ``sums[0::2]`` and ``[1::2]``."""
    return np.stack([first, second], axis=2).reshape(len(first), -1).astype(float).tolist()


def boundary_f(
    truth: UInt8[Tensor, "N H W"], predicted: UInt8[Tensor, "N H W"], num_classes: int
) -> Float64[Tensor, " N"]:
    """Return each image's boundary F score (Csurka et al. 2013, section 2.2) [N].

    A boundary pixel has a neighbor of another class. The image's frame and ignored pixels make no
    boundary: any prediction would find it. Precision is the share of a class's predicted boundary
    pixels that are near a true one, and recall the share of true ones near a predicted one: within
    0.75 % of the diagonal, at least one pixel, along rows and columns. The score is the mean of F
    over the classes with a boundary in truth or prediction, and 1 if there are none. The result is
    on the CPU.
    """
    counted = truth != IGNORE
    radius = max(1, round(BOUNDARY_TOLERANCE * float(np.hypot(*truth.shape[1:]))))
    real, found = (_boundary(labels, counted) for labels in (truth, predicted))
    recall, num_real = _shares(truth, real, predicted, found, radius, num_classes)
    precision, num_found = _shares(predicted, found, truth, real, radius, num_classes)
    scores = 2 * precision * recall / (precision + recall).clamp(min=1e-12)  # [N, C]
    num_scored = ((num_real > 0) | (num_found > 0)).sum(1)
    return torch.where(num_scored > 0, scores.sum(1) / num_scored.clamp(min=1), 1.0).cpu()


def _boundary(
    labels: UInt8[Tensor, "N H W"], counted: Bool[Tensor, "N H W"]
) -> Bool[Tensor, "N H W"]:
    """Return the counted pixels that have a counted neighbor of another class."""
    found = torch.zeros_like(counted)
    for axis in (1, 2):
        length = labels.shape[axis] - 1
        one, other = (labels.narrow(axis, start, length) for start in (0, 1))
        differs = one != other
        for start in (0, 1):
            differs &= counted.narrow(axis, start, length)
        for start in (0, 1):
            found.narrow(axis, start, length).logical_or_(differs)
    return found


def _shares(
    labels: UInt8[Tensor, "N H W"],
    boundary: Bool[Tensor, "N H W"],
    others: UInt8[Tensor, "N H W"],
    other_boundary: Bool[Tensor, "N H W"],
    radius: int,
    num_classes: int,
) -> tuple[Float64[Tensor, "N C"], Int64[Tensor, "N C"]]:
    """Return the share of each class's boundary pixels that are near another one, and their number.

    The other boundary must be of the same class and within ``radius``. Without pixels, it is 0.
    """
    near = _is_near(labels, others, other_boundary, radius, num_classes)
    total = _count(labels, boundary, num_classes)
    hits = _count(labels, boundary & near, num_classes)
    return hits.double() / total.clamp(min=1), total


def _count(
    labels: UInt8[Tensor, "N H W"], kept: Bool[Tensor, "N H W"], num_classes: int
) -> Int64[Tensor, "N C"]:
    """Count the kept pixels of each class in each image."""
    index = torch.where(kept, labels.int(), num_classes).flatten(1).long()
    counts = index.new_zeros(len(index), num_classes + 1)
    return counts.scatter_add_(1, index, torch.ones_like(index))[:, :num_classes]


def _is_near(
    labels: UInt8[Tensor, "N H W"],
    others: UInt8[Tensor, "N H W"],
    kept: Bool[Tensor, "N H W"],
    radius: int,
    num_classes: int,
) -> Bool[Tensor, "N H W"]:
    """Return the pixels with a kept one of the same class within ``radius`` in ``others``."""
    near = torch.zeros_like(kept)
    for first in range(0, num_classes, WORD):
        bits = torch.zeros(256 + WORD, dtype=torch.int32, device=labels.device)  # of each label
        bits[first : first + WORD] = 1 << torch.arange(WORD, device=labels.device)
        wide = bits[others.int()].masked_fill_(~kept, 0)
        wide = F.pad(wide, (radius,) * 4)
        for axis in (1, 2):
            wide = _spread(wide, radius, axis)
        near |= (wide & bits[labels.int()]) != 0
    return near


def _spread(bits: Int32[Tensor, "N _ _"], radius: int, axis: int) -> Int32[Tensor, "N _ _"]:
    """Combine the bits of 2 * radius + 1 neighbors along an axis, which gets shorter by that."""
    size, reach = 2 * radius + 1, 1
    while reach < size:
        step = min(reach, size - reach)
        length = bits.shape[axis] - step
        bits = bits.narrow(axis, 0, length) | bits.narrow(axis, step, length)
        reach += step
    return bits
