"""Pictures as pixels of a terminal: both protocols give back the picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from screens import decode_kitty, decode_sixel

from results.figures.graphics import Graphics, fit
from results.figures.kitty import encode_kitty
from results.figures.sixel import encode_sixel

SIZES = [(1, 1), (7, 5), (126, 140), (300, 13)]


def random_image(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("size", SIZES)
def test_kitty_chunks_are_the_png(size: tuple[int, int]) -> None:
    image, out = random_image(*size), io.BytesIO()
    image.save(out, format="PNG")
    decoded = decode_kitty(encode_kitty(out.getvalue()))
    assert np.array_equal(np.asarray(decoded), np.asarray(image))


@pytest.mark.parametrize("size", SIZES)
def test_sixel_draws_every_pixel_in_its_quantized_color(size: tuple[int, int]) -> None:
    image = random_image(*size)
    drawn = np.asarray(decode_sixel(encode_sixel(image))).astype(int)
    quantized = np.asarray(image.quantize(256).convert("RGB")).astype(int)
    assert np.abs(drawn - quantized).max() <= 2  # colors are in percent


def test_sixel_joins_equal_columns() -> None:
    text = encode_sixel(Image.new("RGB", (200, 6), "red"))
    assert text.endswith("#0!200~\x1b\\")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((8, 8), (120, 120)),  # 15 times
        ((28, 28), (112, 112)),
        ((100, 60), (100, 60)),
        ((640, 480), (126, 94)),
        ((100, 1400), (10, 140)),
        ((5000, 1), (126, 1)),
    ],
)
def test_a_picture_keeps_its_aspect_ratio(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fit(Image.new("RGB", size), 14 * 9, 7 * 20).size == expected
    graphics = Graphics(protocol="kitty", cell_width=9, cell_height=20)
    assert decode_kitty(graphics.encode(Image.new("RGB", size), 14, 7)).size == expected
