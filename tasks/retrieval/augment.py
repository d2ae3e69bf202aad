"""BLIP's augmentation of training images: random crop, flip, and its variant of RandAugment.

The constants are those of github.com/salesforce/BLIP: ``data/__init__.py`` (``transform_train``)
and ``transform/randaugment.py`` (``RandomAugment(2, 5)``, after Cubuk et al. 2020). The random
numbers depend only on (seed, epoch, image), so an image does not depend on the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

NUM_OPS, PROBABILITY = 2, 0.5  # ops chosen with replacement, each applied with this probability
LEVEL = 5 / 10  # magnitude 5, where the maximum is 10
ENHANCE = 1.8 * LEVEL + 0.1  # 1.0: brightness and sharpness do not change the image
SHEAR = 0.3 * LEVEL
SIDE = 384  # pixels; the size of BLIP's images, for which the ops are defined
TRANSLATE = 10 * LEVEL  # pixels of an image of that size
ROTATE = 30 * LEVEL  # degrees
SCALE, RATIO = (0.5, 1.0), (3 / 4, 4 / 3)  # ranges of a crop's area and aspect ratio
FILL = (128, 128, 128)

Op = Callable[[Image.Image, float], Image.Image]  # (image, sign of the change) -> image


def augment(image: Image.Image, seed: int, epoch: int, index: int) -> Image.Image:
    """Return the augmented image for this epoch, of the same size."""
    rng = np.random.default_rng([seed, epoch, index])
    image = _crop(image, rng)
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    names = list(OPS)
    for number in rng.integers(len(names), size=NUM_OPS):
        applied, sign = rng.random() < PROBABILITY, 1.0 if rng.random() < 0.5 else -1.0
        if applied:
            image = OPS[names[number]](image, sign)
    return image


def _crop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Crop like torchvision's RandomResizedCrop, and resize to the original size."""
    width, height = image.size
    for _ in range(10):
        area = width * height * rng.uniform(*SCALE)
        ratio = math.exp(rng.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            break
    else:  # a narrow image: the largest central crop with a ratio in the range
        w, h = min(width, round(height * RATIO[1])), min(height, round(width / RATIO[0]))
        left, top = (width - w) // 2, (height - h) // 2
    cropped = image.crop((left, top, left + w, top + h))
    return cropped.resize((width, height), Image.Resampling.BICUBIC)


def _warp(image: Image.Image, rows: tuple[float, ...]) -> Image.Image:
    """Take pixel (x, y) from (a x + b y + c, d x + e y + f), bilinearly; ``rows`` are a to f.

    The numbers are for BLIP's square of 384 pixels and are scaled here to the image's size. BLIP's
    origin is the center of the first pixel, Pillow's is its corner. The border is needed because
    Pillow does not blend the pixels at an edge with the fill color.
    """
    a, b, c, d, e, f = rows
    border, (width, height) = 1, image.size
    x = (c + 0.5 - (a + b) / 2) * width / SIDE + border
    y = (f + 0.5 - (d + e) / 2) * height / SIDE + border
    return ImageOps.expand(image, border, FILL).transform(
        image.size,
        Image.Transform.AFFINE,
        (a, b * width / height, x, d * height / width, e, y),
        resample=Image.Resampling.BILINEAR,
        fillcolor=FILL,
    )


def _brightness(image: Image.Image, sign: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(ENHANCE)


def _sharpness(image: Image.Image, sign: float) -> Image.Image:
    return ImageEnhance.Sharpness(image).enhance(ENHANCE)


def _shear_x(image: Image.Image, sign: float) -> Image.Image:
    return _warp(image, (1, -sign * SHEAR, 0, 0, 1, 0))


def _shear_y(image: Image.Image, sign: float) -> Image.Image:
    return _warp(image, (1, 0, 0, -sign * SHEAR, 1, 0))


def _translate_x(image: Image.Image, sign: float) -> Image.Image:
    return _warp(image, (1, 0, -sign * TRANSLATE, 0, 1, 0))


def _translate_y(image: Image.Image, sign: float) -> Image.Image:
    return _warp(image, (1, 0, 0, 0, 1, -sign * TRANSLATE))


def _rotate(image: Image.Image, sign: float) -> Image.Image:
    angle, middle = math.radians(sign * ROTATE), SIDE / 2
    cosine, sine = math.cos(angle), math.sin(angle)
    x, y = middle * (1 - cosine + sine), middle * (1 - cosine - sine)
    return _warp(image, (cosine, -sine, x, sine, cosine, y))


OPS: dict[str, Op] = {
    "identity": lambda image, sign: image,
    "autocontrast": lambda image, sign: ImageOps.autocontrast(image),
    "brightness": _brightness,
    "sharpness": _sharpness,
    "equalize": lambda image, sign: ImageOps.equalize(image),
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
    "rotate": _rotate,
}
