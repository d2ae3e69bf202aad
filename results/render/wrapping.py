"""Wrap text between words, but not inside numbers, intervals or quoted spaces."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from results.text import NBSP as NBSP
from results.text import wrap as wrap

_INTERVAL = re.compile(r"\[[^\[\]\n]{1,40}\]")


def glue(text: str) -> str:
    """Replace spaces by no-break spaces, where lines are not broken."""
    return text.replace(" ", NBSP)


def glue_intervals(text: str) -> str:
    """Replace the spaces inside ``[low, high]`` by no-break spaces."""
    return _INTERVAL.sub(lambda found: glue(found[0]), text)


def unglue(text: str) -> str:
    """Replace no-break spaces by spaces, for printing."""
    return text.replace(NBSP, " ")


def join_items(items: Iterable[str], width: int) -> str:
    """Join items to ``a 1, b 2`` for ``wrap``; only items wider than a line may be broken."""
    return ", ".join(glue(item) if cell_len(item) < width else item for item in items)


def widest_word(text: str) -> int:
    """Return the width of the widest word."""
    return max((cell_len(word) for word in re.split("[ \n]", text)), default=0)


def widest_line(text: str) -> int:
    """Return the width of the widest line."""
    return max(map(cell_len, text.split("\n")))


class Prose:
    """Shows sentences above or below a table, each beginning on a new line."""

    def __init__(self, lines: Sequence[str], style: str = "dim", *, gap: bool = False) -> None:
        """Take sentences; ``gap`` adds an empty line before the first one."""
        self._lines, self._style, self._gap = lines, style, gap

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._gap and self._lines:
            yield Text()
        for line in self._lines:
            yield from print_lines(wrap(glue_intervals(line), options.max_width), self._style)


def labeled_lines(
    head: Text, size: int, parts: Iterable[tuple[str, str]], options: ConsoleOptions
) -> Iterator[Text]:
    """Yield a name, ``size`` columns wide, and next to it texts with their styles."""
    head.pad_right(size - cell_len(head.plain))
    for text, style in parts:
        for line in print_lines(wrap(glue_intervals(text), options.max_width - size), style):
            yield Text.assemble(head, line, no_wrap=True, overflow="ignore")
            head = Text(" " * size)


def print_lines(lines: Iterable[str], style: str = "") -> Iterator[Text]:
    """Yield lines that already fit as rich texts."""
    for line in lines:
        yield Text(unglue(line.rstrip(" ")), style=style, no_wrap=True, overflow="ignore")
