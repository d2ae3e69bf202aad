"""Boxes: the parts of an image that the network sees, in training and in evaluation.

A box (top, left, height, width) is in pixels of the image and its mask. It may reach beyond the
image: there the image is gray, and the mask is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.segmentation.masked import IGNORE, Mask

Box = tuple[int, int, int, int]
SCALES = (0.5, 2.0)  # range of the random scale (Chen et al. 2017, DeepLab v3)
OVERLAP = 1 / 3  # of neighboring windows
_GRAY = (128, 128, 128)


def whole(height: int, width: int) -> Box:
    """Return the box of a whole image."""
    return 0, 0, height, width


def random_box(
    height: int, width: int, image_size: int, crop_size: int, rng: np.random.Generator
) -> Box:
    """Draw a square crop at a random scale and place.

    At scale 1, the shorter side of the image has ``image_size`` pixels, and the crop ``crop_size``.
    """
    scale = np.exp(rng.uniform(*np.log(SCALES)))
    side = max(1, round(crop_size * min(height, width) / (image_size * scale)))
    top, left = (int(rng.integers(min(0, n - side), max(0, n - side) + 1)) for n in (height, width))
    return top, left, side, side


def windows(height: int, width: int, image_size: int, crop_size: int) -> list[Box]:
    """Return the sliding windows that cover an image; neighbors overlap by at least a third.

    A window has ``crop_size`` pixels where the image's shorter side has ``image_size``.
    """
    side = max(1, round(crop_size * min(height, width) / image_size))
    return [
        (top, left, side, side) for top in _starts(height, side) for left in _starts(width, side)
    ]


def _starts(length: int, side: int) -> list[int]:
    if side >= length:
        return [(length - side) // 2]
    number = 1 + int(np.ceil((length - side) / max(1, int(side * (1 - OVERLAP)))))
    return [int(start) for start in np.linspace(0, length - side, number).round()]


def places(
    height: int, width: int, image_size: int, crop_size: int | None, *, flip: bool
) -> list[tuple[Box, bool]]:
    """Return the boxes through which an image is evaluated, and whether each is mirrored.

    Without ``crop_size`` there is one box, the whole image. With ``flip`` each box comes twice.
    """
    boxes = [whole(height, width)]
    if crop_size is not None:
        boxes = windows(height, width, image_size, crop_size)
    sides = (False, True) if flip else (False,)
    return [(box, mirrored) for box in boxes for mirrored in sides]


def crop_window(image: Image.Image, box: Box, size: int, *, mirrored: bool) -> Image.Image:
    """Return a window for evaluation, ``size`` pixels a side."""
    window = crop_image(image, box, size)
    return window.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else window


def crop_image(image: Image.Image, box: Box, size: int) -> Image.Image:
    """Return the part of an image in a box, resized to ``size`` pixels a side."""
    top, left, height, width = box
    if top < 0 or left < 0 or top + height > image.height or left + width > image.width:
        padded = Image.new("RGB", (width, height), _GRAY)
        padded.paste(image, (-left, -top))
        image, top, left = padded, 0, 0
    part = (left, top, left + width, top + height)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=part)


def crop_mask(mask: Mask, box: Box, size: int) -> Mask:
    """Return the labels at ``size`` x ``size`` evenly spaced points of a box."""
    top, left, height, width = box
    rows = top + _centers(height, size)
    columns = left + _centers(width, size)
    inside = np.ix_(_within(rows, mask.shape[0]), _within(columns, mask.shape[1]))
    labels = np.full((size, size), IGNORE, np.uint8)
    known = np.ix_(rows[inside[0].ravel()], columns[inside[1].ravel()])
    labels[inside] = mask[known]
    return labels


def _centers(length: int, size: int) -> NDArray[np.int64]:
    return np.floor((np.arange(size) + 0.5) * length / size).astype(np.int64)


def _within(places: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    return np.flatnonzero((places >= 0) & (places < length))


def to_pixels(images: Sequence[Image.Image]) -> NDArray[np.float32]:
    """Return images of one size as [N, 3, H, W], 0 to 1."""
    stacked: NDArray[Any] = np.stack([np.asarray(image) for image in images])
    return stacked.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
