"""Scores of predicted masks, per image and over a whole set.

N images, C classes, P pairs of an image and a class
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float64, Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from tasks.segmentation.masked import IGNORE

Array = NDArray[Any]
BOUNDARY_TOLERANCE = 0.0075  # of the image's diagonal, and at least one pixel


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
    counted = (truth != IGNORE).flatten(1)

    def count(labels: Tensor, kept: Tensor) -> Tensor:
        # The last column takes the other pixels; to select them would wait for the device.
        index = labels.flatten(1).long().masked_fill(~kept, num_classes)
        found = index.new_zeros(len(index), num_classes + 1)
        return found.scatter_add_(1, index, torch.ones_like(index))[:, :num_classes]

    equal = (truth == predicted).flatten(1) & counted
    return torch.stack([count(truth, equal), count(truth, counted), count(predicted, counted)])


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
    predicted = torch.where(counted, predicted, truth)
    radius = max(1, round(BOUNDARY_TOLERANCE * float(np.hypot(*truth.shape[1:]))))
    present = _present(truth, num_classes) | _present(predicted, num_classes)
    image, label = present.nonzero(as_tuple=True)
    real, found = (
        _boundary(labels[image] == label[:, None, None], counted[image])
        for labels in (truth, predicted)
    )
    precision, recall = _near(found, real, radius), _near(real, found, radius)
    scores = 2 * precision * recall / (precision + recall).clamp(min=1e-12)
    scored = (real | found).flatten(1).any(1).cpu().double()
    totals, numbers = (
        torch.zeros(len(truth), dtype=torch.float64).index_add(0, image.cpu(), values)
        for values in (scores * scored, scored)
    )
    return torch.where(numbers > 0, totals / numbers.clamp(min=1), 1.0)


def _present(labels: UInt8[Tensor, "N H W"], num_classes: int) -> Bool[Tensor, "N C"]:
    counts = torch.zeros(len(labels), 256, dtype=torch.int32, device=labels.device)
    flat: Int64[Tensor, "N pixels"] = labels.flatten(1).long()
    counts.scatter_add_(1, flat, torch.ones_like(flat, dtype=torch.int32))
    return counts[:, :num_classes] > 0


def _boundary(
    region: Bool[Tensor, "P H W"], counted: Bool[Tensor, "P H W"]
) -> Bool[Tensor, "P H W"]:
    """Return the pixels of a region that have a counted neighbor outside of it."""
    other = F.pad(counted & ~region, (1, 1, 1, 1))
    return region & (
        other[:, :-2, 1:-1] | other[:, 2:, 1:-1] | other[:, 1:-1, :-2] | other[:, 1:-1, 2:]
    )


def _near(boundary: Bool[Tensor, "P H W"], other: Bool[Tensor, "P H W"], radius: int) -> Tensor:
    """Return the share of each boundary's pixels within ``radius`` of the other one [P].

    It is 0 if one of the two is empty.
    """
    size = 2 * radius + 1
    wide = F.max_pool2d(other[:, None].half(), (size, 1), 1, (radius, 0))
    wide = F.max_pool2d(wide, (1, size), 1, (0, radius))[:, 0] > 0
    near, total = (boundary & wide).sum((1, 2)).cpu(), boundary.sum((1, 2)).cpu()
    return near.double() / total.clamp(min=1)
