"""Each op compared with its formula in numpy at BLIP's 384 pixels, and how often it is applied."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tasks.retrieval import augment
from tasks.retrieval.augment import OPS

SIDE = 384


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """Smooth noise whose channels cover different ranges."""
    noise = np.random.default_rng(0).random((SIDE // 16, SIDE // 16, 3))
    pixels = (30 + noise * [180, 120, 60]).astype(np.uint8)
    return Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def slow_warp(pixels: np.ndarray, forward: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Some rows of the warp by ``forward`` [2, 3], which moves (x, y): bilinear, 128 outside."""
    height, width, _ = pixels.shape
    whole = np.linalg.inv(np.vstack([forward, [0, 0, 1]]))
    x, y = np.meshgrid(np.arange(width), rows)
    source = np.einsum("ij,jyx->iyx", whole, np.stack([x, y, np.ones_like(x)]))
    left, top = np.floor(source[0]).astype(int), np.floor(source[1]).astype(int)
    right_share, low_share = source[0] - left, source[1] - top
    found = np.zeros((len(rows), width, 3))
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (low_share if dy else 1 - low_share) * (right_share if dx else 1 - right_share)
        row, column = top + dy, left + dx
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        values = np.full(found.shape, 128.0)
        values[inside] = pixels[row[inside], column[inside]]
        found += weight[..., None] * values
    return found


def moved(name: str, sign: float) -> np.ndarray:
    """The forward matrix of an op at magnitude 5 of 10."""
    shear, shift, angle = sign * 0.15, sign * 5, math.radians(sign * 15)
    c, s, middle = math.cos(angle), math.sin(angle), SIDE / 2
    return np.array(
        {
            "shear_x": [[1, shear, 0], [0, 1, 0]],
            "shear_y": [[1, 0, 0], [shear, 1, 0]],
            "translate_x": [[1, 0, shift], [0, 1, 0]],
            "translate_y": [[1, 0, 0], [0, 1, shift]],
            "rotate": [
                [c, s, (1 - c) * middle - s * middle],
                [-s, c, s * middle + (1 - c) * middle],
            ],
        }[name]
    )


WARPS = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("name", WARPS)
def test_warp_matches_its_formula(picture: Image.Image, name: str, sign: float) -> None:
    rows = np.r_[:9, 9 : SIDE - 9 : 23, SIDE - 9 : SIDE]
    found = np.asarray(OPS[name](picture, sign)).astype(float)[rows]
    expected = slow_warp(np.asarray(picture), moved(name, sign), rows)
    assert np.abs(found - expected).max() <= 1.01  # Pillow rounds down


@pytest.mark.parametrize("size", [(64, 64), (96, 60)])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("name", WARPS)
def test_warp_scales_with_the_image_size(
    picture: Image.Image, name: str, sign: float, size: tuple[int, int]
) -> None:
    smooth = picture.filter(ImageFilter.GaussianBlur(12))

    def inner(image: Image.Image) -> np.ndarray:
        pixels = np.asarray(image).astype(float)
        return pixels[size[1] // 4 : -size[1] // 4, size[0] // 4 : -size[0] // 4]

    small = smooth.resize(size, Image.Resampling.BOX)
    expected = inner(OPS[name](smooth, sign).resize(size, Image.Resampling.BOX))
    assert np.abs(inner(OPS[name](small, sign)) - expected).mean() < 1.2
    assert np.abs(inner(OPS[name](small, -sign)) - expected).mean() > 2


def test_autocontrast_stretches_each_channel(picture: Image.Image) -> None:
    pixels = np.asarray(picture).astype(float)
    low, high = pixels.min((0, 1)), pixels.max((0, 1))
    expected = np.floor((pixels - low) * (255 / (high - low)) + 1e-6).clip(0, 255)
    found = np.asarray(OPS["autocontrast"](picture, 1.0))
    assert np.abs(found - expected).max() <= 1
    assert found.min() == 0
    assert found.max((0, 1)).min() >= 254  # Pillow and BLIP both round down


def test_equalize_flattens_each_channel(picture: Image.Image) -> None:
    pixels, found = np.asarray(picture), np.asarray(OPS["equalize"](picture, 1.0))
    for channel in range(3):
        counts = np.bincount(pixels[..., channel].ravel(), minlength=256)
        step = int(counts[counts > 0][:-1].sum()) // 255
        before = np.r_[0, np.cumsum(counts)[:-1]]
        table = ((before + step // 2) // step).clip(0, 255)
        np.testing.assert_array_equal(found[..., channel], table[pixels[..., channel]])


@pytest.mark.parametrize("name", ["brightness", "sharpness", "identity"])
def test_at_magnitude_5_brightness_and_sharpness_change_nothing(
    picture: Image.Image, name: str
) -> None:
    """BLIP's factor is level / 10 * 1.8 + 0.1, so 1.0 at 5."""
    np.testing.assert_array_equal(np.asarray(OPS[name](picture, -1.0)), np.asarray(picture))


def test_enhance_factor_is_used(picture: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "ENHANCE", 0.55)
    pixels = np.asarray(picture).astype(float)
    found = np.asarray(OPS["brightness"](picture, 1.0))
    assert np.abs(found - 0.55 * pixels).max() <= 1
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (3, 3), axis=(0, 1))
    smooth, inner = np.einsum("yxcij,ij->yxc", windows, kernel), pixels[1:-1, 1:-1]
    found = np.asarray(OPS["sharpness"](picture, 1.0))[1:-1, 1:-1]
    assert np.abs(found - (smooth + 0.55 * (inner - smooth))).max() <= 1.5


def test_two_of_ten_ops_are_drawn_and_applied_half_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    applied: list[tuple[str, float]] = []

    def spy(name: str) -> augment.Op:
        def op(image: Image.Image, sign: float) -> Image.Image:
            applied.append((name, sign))
            return image

        return op

    monkeypatch.setattr(augment, "OPS", {name: spy(name) for name in OPS})
    image, lengths = Image.new("RGB", (8, 8)), Counter()
    for index in range(1500):
        before = len(applied)
        augment.augment(image, 0, 1, index)
        lengths[len(applied) - before] += 1
    # Five standard errors.
    assert [lengths[n] / 1500 for n in (0, 1, 2)] == pytest.approx([0.25, 0.5, 0.25], abs=0.065)
    shares = Counter(name for name, _ in applied)
    assert [shares[name] / len(applied) for name in OPS] == pytest.approx([0.1] * 10, abs=0.039)
    assert np.mean([sign for _, sign in applied]) == pytest.approx(0, abs=0.13)


def test_crops_follow_the_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = []
    real = Image.Image.crop

    def crop(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
        boxes.append(box)
        return real(image, box)

    monkeypatch.setattr(Image.Image, "crop", crop)
    monkeypatch.setattr(augment, "NUM_OPS", 0)
    image = Image.new("RGB", (200, 150))
    assert {augment.augment(image, 1, 2, index).size for index in range(200)} == {(200, 150)}
    left, top, right, bottom = np.array(boxes).T
    width, height = right - left, bottom - top
    areas, ratios = width * height / (200 * 150), width / height
    assert areas.min() == pytest.approx(0.5, abs=0.03)
    assert areas.max() > 0.95
    assert ratios.min() == pytest.approx(3 / 4, abs=0.05)
    assert ratios.max() == pytest.approx(4 / 3, abs=0.05)
    assert left.min() == top.min() == 0
    boxes.clear()
    augment.augment(Image.new("RGB", (400, 20)), 1, 2, 3)  # no crop of such a shape fits
    assert boxes == [(186, 0, 213, 20)]


def test_augmentation_depends_only_on_seed_epoch_and_index(picture: Image.Image) -> None:
    small = picture.resize((48, 48))
    one = augment.augment(small, 3, 1, 5).tobytes()
    augment.augment(small, 3, 1, 4)
    assert augment.augment(small, 3, 1, 5).tobytes() == one
    others = [augment.augment(small, *draw).tobytes() for draw in ((4, 1, 5), (3, 2, 5), (3, 1, 6))]
    assert len({one, *others}) == 4
