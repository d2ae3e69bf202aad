"""Augmentation of training images: random crop and scale, mirror image, photometric distortion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.segmentation.crops import crop_image, crop_mask, random_box
from tasks.segmentation.masked import Mask

# Ranges of the photometric distortion of SSD (Liu et al. 2016), as segmentation uses it.
BRIGHTNESS = 32  # largest shift, of 255
FACTORS = (0.5, 1.5)  # of contrast and of saturation
HUE = 18  # largest turn in degrees

Pixels = NDArray[np.float32]


def augment(
    image: Image.Image,
    mask: Mask,
    *,
    image_size: int,
    crop_size: int,
    label_size: int,
    rng: np.random.Generator,
) -> tuple[Image.Image, Mask]:
    """Return an augmented image, ``crop_size`` pixels a side, and its mask of ``label_size``."""
    box = random_box(image.height, image.width, image_size, crop_size, rng)
    mirror = rng.random() < 0.5
    cropped, labels = crop_image(image, box, crop_size), crop_mask(mask, box, label_size)
    pixels = np.asarray(cropped, dtype=np.float32)
    if mirror:
        pixels, labels = pixels[:, ::-1], np.ascontiguousarray(labels[:, ::-1])
    return Image.fromarray(distort(pixels, rng)), labels


def distort(pixels: Pixels, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change brightness, contrast, saturation and hue, each with probability one half.

    Contrast comes before or after saturation and hue, with equal probability.
    """
    if rng.random() < 0.5:
        pixels = pixels + np.float32(rng.uniform(-BRIGHTNESS, BRIGHTNESS))
    contrast_first = rng.random() < 0.5
    factor = np.float32(rng.uniform(*FACTORS)) if rng.random() < 0.5 else np.float32(1)
    if contrast_first:
        pixels = pixels * factor
    if rng.random() < 0.5:
        gray = _gray(pixels)
        pixels = gray + np.float32(rng.uniform(*FACTORS)) * (pixels - gray)
    if rng.random() < 0.5:
        pixels = _turn_hue(pixels, np.deg2rad(rng.uniform(-HUE, HUE)))
    if not contrast_first:
        pixels = pixels * factor
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def _gray(pixels: Pixels) -> Pixels:
    return (pixels @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]


def _turn_hue(pixels: Pixels, angle: float) -> Pixels:
    """Turn colors around the gray axis, which leaves the sum of the channels unchanged."""
    cos, third = np.cos(angle), (1 - np.cos(angle)) / 3
    side = np.sin(angle) / np.sqrt(3)
    first = [cos + third, third - side, third + side]
    matrix = np.array([np.roll(first, shift) for shift in range(3)], np.float32)
    return np.asarray(pixels @ matrix.T, dtype=np.float32)
