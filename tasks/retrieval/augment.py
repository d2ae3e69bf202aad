"""The protocol's augmentation: random crop, flip, RandAugment (Cubuk et al. 2020), on PIL images.

Every number is drawn from (seed, epoch, image), so a picture does not depend on its neighbours.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

NUM_OPS, MAGNITUDE = 2, 5  # RandAugment(2, 5), magnitudes out of 10 as BLIP's own code has it
_FILL = (128, 128, 128)


def augment(image: Image.Image, seed: int, epoch: int, index: int) -> Image.Image:
    """The image as training sees it in this epoch, at its own size."""
    rng = np.random.default_rng([seed, epoch, index])
    image = _crop(image, rng)
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    for _ in range(NUM_OPS):
        image = _OPS[rng.integers(len(_OPS))](image, -1.0 if rng.random() < 0.5 else 1.0)
    return image


def _crop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """RandomResizedCrop(scale 0.5 to 1, ratio 3/4 to 4/3), back to the image's size."""
    width, height = image.size
    for _ in range(10):
        area = width * height * rng.uniform(0.5, 1.0)
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = rng.integers(width - w + 1), rng.integers(height - h + 1)
            box = (int(left), int(top), int(left) + w, int(top) + h)
            return image.resize((width, height), Image.Resampling.BICUBIC, box=box)
    return image


def _affine(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, fillcolor=_FILL)


_STRENGTH = MAGNITUDE / 10
_OPS = (
    lambda image, sign: image,
    lambda image, sign: ImageOps.autocontrast(image),
    lambda image, sign: ImageOps.equalize(image),
    lambda image, sign: ImageEnhance.Brightness(image).enhance(1 + sign * 0.9 * _STRENGTH),
    lambda image, sign: ImageEnhance.Sharpness(image).enhance(1 + sign * 0.9 * _STRENGTH),
    lambda image, sign: _affine(image, (1, sign * 0.3 * _STRENGTH, 0, 0, 1, 0)),
    lambda image, sign: _affine(image, (1, 0, 0, sign * 0.3 * _STRENGTH, 1, 0)),
    lambda image, sign: _affine(image, (1, 0, sign * 0.1 * image.width * _STRENGTH, 0, 1, 0)),
    lambda image, sign: _affine(image, (1, 0, 0, 0, 1, sign * 0.1 * image.height * _STRENGTH)),
    lambda image, sign: image.rotate(sign * 30 * _STRENGTH, fillcolor=_FILL),
)
