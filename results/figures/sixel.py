"""Encode a picture as Sixel, the graphics of DEC's VT340 that foot, mlterm and xterm also read.

W width, H height, C colors of a band, in which each character stands for a column of six pixels

https://vt100.net/docs/vt3xx-gp/chapter14.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

_BAND = 6  # pixels
_COLORS = 256  # registers, which almost every terminal has
_ZERO = ord("?")  # the character of a column without a pixel
_REPEATED = re.compile(r"(.)\1{3,}")
# Square pixels; those that no color draws keep what was there.
_START, _END = '\x1bP0;1;0q"1;1;{};{}', "\x1b\\"


def encode_sixel(image: Image.Image) -> str:
    """Return the escape sequence that draws an RGB image, in at most 256 colors."""
    indexed = image.quantize(_COLORS)
    pixels = np.asarray(indexed)
    palette = np.asarray(indexed.getpalette()).reshape(-1, 3)
    percent = (palette * 100 + 127) // 255
    colors = "".join(f"#{n};2;{r};{g};{b}" for n, (r, g, b) in enumerate(percent))
    bands = ("$".join(_rows(pixels[top : top + _BAND])) for top in range(0, image.height, _BAND))
    return _START.format(image.width, image.height) + colors + "-".join(bands) + _END


def _rows(band: np.ndarray[Any, Any]) -> Iterator[str]:
    """Yield the characters of each color of a band [up to 6, W]."""
    found, place = np.unique(band, return_inverse=True)
    place = place.reshape(band.shape)
    values = np.zeros((len(found), band.shape[1]), np.uint8)  # [C, W]
    columns = np.arange(band.shape[1])
    for row, colors in enumerate(place):
        values[colors, columns] |= 1 << row
    for color, line in zip(found, values, strict=True):
        text = (line + _ZERO).tobytes().decode("ascii").rstrip("?")
        yield f"#{color}" + _REPEATED.sub(lambda run: f"!{len(run[0])}{run[1]}", text)
