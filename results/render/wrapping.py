"""Text broken into lines between words, never inside a number, an interval or a quoted space."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from results.text import GLUE as GLUE
from results.text import wrap as wrap

_INTERVAL = re.compile(r"\[[^\[\]\n]{1,40}\]")


def glue(text: str) -> str:
    """The text with spaces that no line ends at."""
    return text.replace(" ", GLUE)


def glue_intervals(text: str) -> str:
    """The same, inside ``[low, high]`` alone."""
    return _INTERVAL.sub(lambda found: glue(found[0]), text)


def unglue(text: str) -> str:
    """The text as it is printed."""
    return text.replace(GLUE, " ")


def join_items(items: Iterable[str], width: int) -> str:
    """``a 1, b 2`` for ``wrap``: a line ends between items, and inside those alone that are wider
    than a line."""
    return ", ".join(glue(item) if cell_len(item) < width else item for item in items)


def widest_word(text: str) -> int:
    """Columns of the widest word."""
    return max((cell_len(word) for word in re.split("[ \n]", text)), default=0)


def widest_line(text: str) -> int:
    """Columns of the widest line."""
    return max(map(cell_len, text.split("\n")))


class Prose:
    """Sentences above or below a table, each on lines of its own."""

    def __init__(self, lines: Sequence[str], style: str = "dim", *, gap: bool = False) -> None:
        """``gap``: after an empty line, if there is any sentence."""
        self._lines, self._style, self._gap = lines, style, gap

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._gap and self._lines:
            yield Text()
        for line in self._lines:
            yield from print_lines(wrap(glue_intervals(line), options.max_width), self._style)


def beside(
    head: Text, size: int, parts: Iterable[tuple[str, str]], options: ConsoleOptions
) -> Iterator[Text]:
    """A name in ``size`` columns and, beside it, texts with their styles."""
    head.pad_right(size - cell_len(head.plain))
    for text, style in parts:
        for line in print_lines(wrap(glue_intervals(text), options.max_width - size), style):
            yield Text.assemble(head, line, no_wrap=True, overflow="ignore")
            head = Text(" " * size)


def print_lines(lines: Iterable[str], style: str = "") -> Iterator[Text]:
    """Lines that fit already, as rich prints them."""
    for line in lines:
        yield Text(unglue(line.rstrip(" ")), style=style, no_wrap=True, overflow="ignore")
