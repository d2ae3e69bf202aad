"""Pictures of the worst images: the image, its true mask and the predicted one."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.segmentation.evaluation import Score, Truth, predict
from tasks.segmentation.masked import IGNORE, MaskedSplit

NUM_PICTURES = 12
SIDE = 64  # pixels
OPACITY = 0.65  # of a mask over its image


def picture_samples(
    split: MaskedSplit, truth: Truth, score: Score, image_ious: Sequence[float]
) -> dict[str, list[Any]]:
    """Return rows with pictures (PNG) of the images with the lowest mean IoU, the worst first."""
    order = np.argsort(np.asarray(image_ious), kind="stable")[:NUM_PICTURES].tolist()
    images = [split.load(index) for index in order]
    masks = [truth.masks([index])[0].numpy() for index in order]
    found = [predict(truth, [index], score)[0][0].cpu().numpy() for index in order]
    views = {
        "worst images": images,
        "truth": [overlay(image, mask) for image, mask in zip(images, masks, strict=True)],
        "prediction": [overlay(image, mask) for image, mask in zip(images, found, strict=True)],
    }
    rows = [
        (view, index, png(each))
        for view, pictures in views.items()
        for index, each in zip(order, pictures, strict=True)
    ]
    empty = [None] * len(rows)
    return {
        "view": [view for view, _, _ in rows],
        "image": [split.image_ids[index] for _, index, _ in rows],
        "image_iou": [image_ious[index] for _, index, _ in rows],
        **dict.fromkeys(("boundary_f", "overlap", "recall", "pixels"), empty),
        "picture": [picture for _, _, picture in rows],
    }


def overlay(image: Image.Image, mask: NDArray[np.uint8]) -> Image.Image:
    """Return an image with its classes in color. The first class stays as it is."""
    pixels = np.asarray(image, dtype=np.float32)
    colored = (1 - OPACITY) * pixels + OPACITY * palette()[mask]
    return Image.fromarray(np.where(mask[..., None] == 0, pixels, colored).astype(np.uint8))


def palette() -> NDArray[np.float32]:
    """Return PASCAL VOC's color of each label [256, 3]; ignored pixels are white."""
    labels = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= ((labels >> (3 * bit + channel) & 1) << (7 - bit)).astype(
                np.uint8
            )
    colors[IGNORE] = 255
    return colors.astype(np.float32)


def png(image: Image.Image) -> bytes:
    """Return a small square picture of an image, with a gray margin if it is not square."""
    small = image.copy()
    small.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    square = Image.new("RGB", (SIDE, SIDE), (128, 128, 128))
    square.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    out = io.BytesIO()
    square.save(out, format="PNG")
    return out.getvalue()
