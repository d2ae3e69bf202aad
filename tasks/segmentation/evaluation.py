"""Evaluate a network on a split: predicted masks from windows, their scores, and samples.

N images of one chunk, C classes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.contract import TrialError
from tasks.interrupt import check_interrupt
from tasks.progress import report_progress
from tasks.segmentation import crops, metrics
from tasks.segmentation.crops import Box
from tasks.segmentation.heads import resize
from tasks.segmentation.masked import MaskedSplit, column_of
from tasks.segmentation.metrics import Counts
from tasks.segmentation.params import MAX_SCORES, Params
from tasks.transfer import to_device

Array = np.ndarray[Any, Any]
CHUNK = 64  # images of equal size that are evaluated together, at most
#: Class scores [W, C, h, w] of windows, by their numbers.
Score = Callable[[Sequence[int]], Tensor]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The masks of a split, and the windows through which a network sees its images."""

    labels: Array  # uint8, all masks one after the other
    shapes: Array  # [N, 2] height and width of each mask
    windows: Sequence[Sequence[tuple[int, Box, bool]]]  # of each image: number, box, mirrored

    def masks(self, images: Sequence[int]) -> Tensor:
        """Return the masks of images that have one shape, [N, H, W]."""
        sizes = self.shapes.prod(1)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        parts = [self.labels[starts[i] : starts[i + 1]].reshape(self.shapes[i]) for i in images]
        return torch.from_numpy(np.stack(parts))

    def chunks(self, num_classes: int) -> Iterator[list[int]]:
        """Yield consecutive images that have one shape and equal windows, a few at a time."""
        chunk: list[int] = []
        for index, num_pixels in enumerate(self.shapes.prod(1).tolist()):
            size = max(1, min(CHUNK, MAX_SCORES // (num_pixels * num_classes)))
            if chunk and (len(chunk) >= size or self._form(index) != self._form(chunk[0])):
                yield chunk
                chunk = []
            chunk.append(index)
        if chunk:
            yield chunk

    def _form(self, index: int) -> object:
        windows = [(box, mirrored) for _, box, mirrored in self.windows[index]]
        return tuple(self.shapes[index]), windows


def make_truth(masks: Any, params: Params) -> Truth:
    """Return the truth from the value of the stage of masks, with the windows of a trial."""
    windows: list[list[tuple[int, Box, bool]]] = []
    number = 0
    for height, width in masks["shape"].tolist():
        placed = crops.places(
            height, width, params.image_size, params.window_size, flip=params.flip
        )
        windows.append([(number + n, box, mirrored) for n, (box, mirrored) in enumerate(placed)])
        number += len(placed)
    return Truth(labels=masks["labels"], shapes=masks["shape"], windows=windows)


@torch.no_grad()
def predict(truth: Truth, images: Sequence[int], score: Score) -> tuple[Tensor, Tensor]:
    """Return the predicted masks of a chunk, uint8 [N, H, W], and whether all scores are finite.

    Both are on the scores' device. The class probabilities of windows that overlap, and of mirrored
    ones, are averaged.
    """
    height, width = (int(n) for n in truth.shapes[images[0]])
    slots = list(zip(*(truth.windows[image] for image in images), strict=True))
    total: Tensor | None = None
    is_finite: Tensor | None = None
    for slot in slots:
        scores = score([number for number, _, _ in slot])
        finite = scores.isfinite().all()
        is_finite = finite if is_finite is None else is_finite & finite
        _, box, mirrored = slot[0]
        scores = scores.flip(-1) if mirrored else scores
        if len(slots) == 1:
            return _largest(_place(scores, box, height, width)[0]), is_finite
        part, covered = _place(scores, box, height, width, softmax=True)
        if total is None:
            total = part.new_zeros(*part.shape[:2], height, width)
            # The number of windows that cover a pixel does not change which class is largest.
        top, bottom, left, right = covered
        total[..., top:bottom, left:right] += part
    assert total is not None
    assert is_finite is not None
    return _largest(total), is_finite


def _largest(scores: Tensor) -> Tensor:
    """Return the class with the largest score at each pixel, uint8 [N, H, W]."""
    return scores.max(1).indices.to(torch.uint8)  # on a CPU, six times as fast as ``argmax``


def _place(
    scores: Tensor, box: Box, height: int, width: int, *, softmax: bool = False
) -> tuple[Tensor, tuple[int, int, int, int]]:
    """Resize scores to their box, without what is outside the image; return them and the place."""
    top, left, box_height, box_width = box
    full = resize(scores.float(), (box_height, box_width))
    if softmax:
        full = full.softmax(1)
    first, last = max(0, top), min(height, top + box_height)
    start, end = max(0, left), min(width, left + box_width)
    return full[..., first - top : last - top, start - left : end - left], (first, last, start, end)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The scores of a split."""

    counts: Counts
    boundary: Array | None  # [N] boundary F of each image, if it was measured

    def metrics(self, classes: Sequence[str]) -> dict[str, float]:
        """Return the metrics over the whole set, and the IoU of each class that occurs."""
        found = {
            "miou": metrics.mean_iou(self.counts),
            "pixel_accuracy": metrics.pixel_accuracy(self.counts),
            "mean_accuracy": metrics.mean_accuracy(self.counts),
        }
        if self.boundary is not None:
            found["boundary_f"] = float(self.boundary.mean())
        ious = metrics.class_ious(self.counts)
        return found | {
            f"iou_{column_of(name)}": float(iou)
            for name, iou in zip(classes, ious, strict=True)
            if np.isfinite(iou)
        }

    def samples(self, split: MaskedSplit) -> dict[str, list[Any]]:
        """Return one row per image: what the metrics are computed from, and its own mean IoU."""
        counts, number = self.counts, len(split)
        totals = [counts.both.sum(1, keepdims=True), counts.truth.sum(1, keepdims=True)]
        boundary = [None] * number if self.boundary is None else self.boundary.tolist()
        return {
            "view": ["scores"] * number,
            "image": list(split.image_ids),
            "image_iou": metrics.image_ious(counts).tolist(),
            "boundary_f": boundary,
            "overlap": metrics.interleave(counts.both, counts.union),
            "recall": metrics.interleave(counts.both, counts.truth),
            "pixels": metrics.interleave(*totals),
            "picture": [None] * number,
        }


def evaluate(truth: Truth, score: Score, num_classes: int, *, boundaries: bool) -> Scores:
    """Predict every image and score it; ``boundaries`` also measures the boundary F score.

    Raises:
        TrialError: if a class score is not finite.
    """
    counts: list[Tensor] = []  # on the device until the end, so that nothing waits for it
    finite: list[Tensor] = []
    boundary: list[Tensor] = []
    for images in truth.chunks(num_classes):
        check_interrupt()
        report_progress(images[0], len(truth.shapes))
        predicted, is_finite = predict(truth, images, score)
        real = to_device(truth.masks(images), str(predicted.device))
        finite.append(is_finite)
        counts.append(metrics.count_pixels(real, predicted, num_classes))
        if boundaries:
            boundary.append(metrics.boundary_f(real, predicted, num_classes))
    if not bool(torch.stack(finite).all()):
        raise TrialError("a class score is not finite; lower lr, or check the model's weights")
    return Scores(
        counts=Counts.of(torch.cat(counts, dim=1)),
        boundary=torch.cat(boundary).numpy() if boundaries else None,
    )
