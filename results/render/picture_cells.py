"""Pictures among text: characters that are half blocks, or spaces with pixels drawn over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import ControlType, Segment
from rich.text import Text

from results.figures.graphics import Graphics
from results.figures.pictures import half_blocks, open_picture

PICTURE_SIDE = 14  # columns; half as many lines
PICTURE_LINES = PICTURE_SIDE // 2
_SAVE, _RESTORE = "\x1b7", "\x1b8"  # the position of the cursor
# Rich prints what is marked as control only on a terminal, and does not count its characters.
_CONTROL = [(ControlType.CURSOR_FORWARD, 0)]


@dataclass(frozen=True, kw_only=True)
class PictureCell:
    """A picture of ``PICTURE_SIDE`` columns."""

    text: Text
    drawing: str = ""  # escape sequences that draw over the text


def picture_cell(picture: bytes, graphics: Graphics) -> PictureCell:
    """Return a picture (PNG or JPEG) as a cell."""
    if graphics.protocol == "blocks":
        return PictureCell(text=half_blocks(picture, PICTURE_SIDE))
    image = open_picture(picture)
    return PictureCell(text=_lines(""), drawing=graphics.encode(image, PICTURE_SIDE, PICTURE_LINES))


def name_cell(name: str) -> PictureCell:
    """Return the name of a picture that cannot be loaded, as a cell."""
    return PictureCell(text=_lines(name[:PICTURE_SIDE]))


def _lines(first: str) -> Text:
    lines = [Text(first), *(Text() for _ in range(PICTURE_LINES - 1))]
    for line in lines:
        line.pad_right(PICTURE_SIDE - cell_len(line.plain))
    return Text("\n").join(lines)


class PictureLine:
    """Shows pictures next to each other, as many as fit."""

    def __init__(self, cells: Sequence[PictureCell]) -> None:
        self._cells = cells

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        cells = self._cells[: number_of_pictures(options.max_width)]
        lines = zip(*(cell.text.split("\n") for cell in cells), strict=True)
        text = Text("\n").join(Text(" ").join(parts) for parts in lines)
        text.no_wrap = True
        yield Drawn(text, cells)


def number_of_pictures(width: int) -> int:
    """Return how many pictures fit next to each other."""
    return max(1, (width + 1) // (PICTURE_SIDE + 1))


class Drawn:
    """Shows text that begins with a line of cells, and draws their pictures."""

    def __init__(self, body: RenderableType, cells: Sequence[PictureCell]) -> None:
        self._body, self._cells = body, cells

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._body, options, pad=False)
        for number, line in enumerate(lines, start=1):
            yield from line
            yield Segment.line()
            if number == PICTURE_LINES:  # drawn now, as printing a space would erase the pixels
                for place, cell in enumerate(self._cells):
                    if cell.drawing:
                        yield Segment(_at(place) + cell.drawing + _RESTORE, control=_CONTROL)


def _at(place: int) -> str:
    """Return the sequence that moves the cursor to a picture from the line below it."""
    right = f"\x1b[{place * (PICTURE_SIDE + 1)}C" if place else ""
    return f"{_SAVE}\r\x1b[{PICTURE_LINES}A{right}"
