"""How a terminal shows pictures: as half blocks, or by a protocol for pixels."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from results.figures.kitty import encode_kitty
from results.figures.sixel import encode_sixel

Protocol = Literal["kitty", "sixel", "blocks"]


@dataclass(frozen=True, kw_only=True)
class Graphics:
    """A terminal's protocol and the size of its cells."""

    protocol: Protocol = "blocks"
    cell_width: int = 8  # pixels
    cell_height: int = 16  # pixels

    def encode(self, image: Image.Image, columns: int, lines: int) -> str:
        """Return the escape sequences that draw an RGB image at the cursor.

        The image keeps its aspect ratio and fills ``columns`` or ``lines`` as far as possible.
        Small images are enlarged by a whole number, so that their pixels stay sharp.
        """
        assert self.protocol != "blocks"
        scaled = fit(image, columns * self.cell_width, lines * self.cell_height)
        if self.protocol == "sixel":
            return encode_sixel(scaled)
        out = io.BytesIO()
        scaled.save(out, format="PNG")
        return encode_kitty(out.getvalue())


BLOCKS = Graphics()


def fit(image: Image.Image, width: int, height: int) -> Image.Image:
    """Scale an image to a box in pixels. Images are enlarged only by a whole number."""
    factor = min(width / image.width, height / image.height)
    if factor >= 1:
        size = (image.width * int(factor), image.height * int(factor))
        return image.resize(size, Image.Resampling.NEAREST)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS)
