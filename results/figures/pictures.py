"""Draw pictures of samples, as half blocks in the terminal and on a contact sheet."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageOps
from rich.text import Text

from tasks.contract import StoreError

MAX_IN_ROW = 12  # maximum pictures in a row of a contact sheet
_MARGIN = 4
_MARGIN_COLOR = "gray"
_TITLE = 22  # height of the title in pixels


def half_blocks(picture: bytes, side: int) -> Text:
    """Draw a picture (PNG or JPEG), ``side`` columns wide and half as many lines.

    A picture that is not square gets a margin.
    """
    image = ImageOps.pad(open_picture(picture), (side, side), color=_MARGIN_COLOR)
    text = Text(no_wrap=True)
    for line in range(0, side - side % 2, 2):
        for x in range(side):
            upper, lower = (_hex(image.getpixel((x, line + y))) for y in (0, 1))
            text.append("▀", style=f"{upper} on {lower}")
        text.append("\n")
    text.rstrip()
    return text


def open_picture(picture: bytes) -> Image.Image:
    """Return an RGB image from a file.

    Raises:
        StoreError: if the file is damaged.
    """
    try:
        return Image.open(io.BytesIO(picture)).convert("RGB")
    except Exception as error:  # Pillow raises many kinds of errors for damaged pictures
        raise StoreError(
            f"a picture of the samples is damaged: {error}; run the sweep again with --rerun"
        ) from None


def _hex(pixel: Any) -> str:
    return "#{:02x}{:02x}{:02x}".format(*pixel)


def contact_sheet(
    groups: Mapping[str, Sequence[bytes]], title: str = "", scale: int = 3
) -> Image.Image:
    """Draw a title and, for each group, its name and a row of its pictures."""
    first = open_picture(next(iter(groups.values()))[0])
    width, height = first.width * scale, first.height * scale
    label = 9 * max(map(len, groups)) + 2 * _MARGIN
    columns = min(MAX_IN_ROW, max(map(len, groups.values())))
    above = (_TITLE if title else 0) + _MARGIN
    across = max(label + columns * (width + _MARGIN), 8 * len(title) + 2 * _MARGIN)
    size = (across, above + len(groups) * (height + _MARGIN))
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN), title, fill="black", font_size=14)
    for row, (name, pictures) in enumerate(groups.items()):
        top = above + row * (height + _MARGIN)
        pen.text((_MARGIN, top + height // 2 - 6), name, fill="black", font_size=14)
        for column, picture in enumerate(pictures[:columns]):
            enlarged = open_picture(picture).resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (label + column * (width + _MARGIN), top))
    return sheet
