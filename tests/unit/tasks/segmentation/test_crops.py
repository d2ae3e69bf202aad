"""Boxes: windows cover the image, and images and masks are cut alike."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks.segmentation import crops
from tasks.segmentation.augment import augment, distort
from tasks.segmentation.masked import IGNORE

SIDES = st.integers(5, 90)


@given(SIDES, SIDES, st.integers(16, 64), st.integers(16, 80))
def test_windows_cover_the_image_and_overlap(
    height: int, width: int, image_size: int, crop_size: int
) -> None:
    covered = np.zeros((height, width), int)
    boxes = crops.windows(height, width, image_size, crop_size)
    for top, left, side, other in boxes:
        assert side == other
        covered[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)] += 1
    assert covered.min() >= 1
    tops = sorted({box[0] for box in boxes})
    side = boxes[0][2]
    assert all(b - a <= np.ceil(side * 2 / 3) + 1 for a, b in itertools.pairwise(tops))


@given(SIDES, SIDES, st.integers(0, 1000))
def test_random_boxes_are_inside_or_hold_the_whole_side(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    top, left, side, _ = crops.random_box(height, width, 32, 24, rng)
    short = min(height, width)
    assert round(24 * short / (32 * 2)) - 1 <= side <= round(24 * short / (32 * 0.5)) + 1
    for start, length in ((top, height), (left, width)):
        assert min(0, length - side) <= start <= max(0, length - side)


def labelled(height: int, width: int) -> tuple[Image.Image, np.ndarray]:
    """An image whose red channel is 10 times its mask."""
    mask = (np.arange(height)[:, None] // 8 + np.arange(width) // 8).astype(np.uint8) % 20
    pixels = np.stack([10 * mask, 0 * mask, 255 - 10 * mask], axis=2)
    return Image.fromarray(pixels), mask


@pytest.mark.parametrize(
    "box", [(0, 0, 40, 56), (8, 16, 24, 24), (-8, 4, 48, 48), (10, 30, 40, 40)]
)
def test_image_and_mask_are_cut_alike(box: tuple[int, int, int, int]) -> None:
    image, mask = labelled(40, 56)
    size = box[2]
    pixels = np.asarray(crops.crop_image(image, box, size)).astype(int)
    labels = crops.crop_mask(mask, box, size)
    inside = labels != IGNORE
    if box[2] == box[3]:  # no resizing
        assert (pixels[inside][:, 0] == 10 * labels[inside]).all()
        assert (pixels[~inside] == 128).all()
    else:
        assert np.mean(np.abs(pixels[inside][:, 0] - 10 * labels[inside]) < 10) > 0.6


def test_augmentation_moves_image_and_mask_together_and_is_reproducible() -> None:
    image, mask = labelled(64, 80)
    options = {"image_size": 64, "crop_size": 48, "label_size": 48}
    results = [
        augment(image, mask, rng=np.random.default_rng(seed), **options) for seed in range(12)
    ]
    again = [augment(image, mask, rng=np.random.default_rng(seed), **options) for seed in range(12)]
    for (first, labels), (second, same) in zip(results, again, strict=True):
        assert first.size == (48, 48)
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(labels, same)
        inside = labels != IGNORE
        red = np.asarray(first)[..., 0].astype(float)[inside]
        assert np.corrcoef(red, labels[inside])[0, 1] > 0.7
    assert len({np.asarray(first).tobytes() for first, _ in results}) == 12


def test_distortion_changes_colors_but_not_shapes() -> None:
    image, mask = labelled(32, 32)
    pixels = np.asarray(image, dtype=np.float32)
    changed = [distort(pixels, np.random.default_rng(seed)) for seed in range(20)]
    assert sum((each != pixels).any() for each in changed) > 12
    for each in changed:
        for label in np.unique(mask):
            assert len(np.unique(each[mask == label], axis=0)) == 1
