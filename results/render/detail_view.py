"""A table of text for the terminal: prose in wrapped columns, numbers whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from results.details import DetailTable
from results.render.arrange import Variant, arrange
from results.render.grid import Column, Grid
from results.render.wrapping import Prose, beside, join_items

_WORDS = ("row", "what", "configuration", "reason")  # headings of columns that hold text


class DetailView:
    """A detail table under its title, its explanation below."""

    def __init__(self, table: DetailTable) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Prose([self._table.title], "bold")
        if self._table.rows:
            yield text_grid(self._table.headings, self._table.rows, options.max_width)
        yield Prose(self._table.caption)


def text_grid(
    headings: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, words: bool = False
) -> Grid:
    """Rows of text; what does not fit beside the first column goes below it.

    Args:
        headings: of the columns.
        rows: cells as text.
        width: columns of the terminal.
        words: whether every column but the first holds prose.
    """
    columns = []
    for number, heading in enumerate(headings):
        is_text = heading in _WORDS or (words and number > 0)
        cells = [row[number] for row in rows]
        columns.append(
            Column(heading=heading, cells=cells, right=not is_text and number > 0, wraps=is_text)
        )
    first, *rest = columns
    if sum(c.least for c in columns) + 2 * len(rest) > width and len(rest) > 1 and first.wraps:
        return arrange(width, first=None, params=[first], variants=[Variant(columns=rest)]).grid
    return arrange(width, first=first, params=(), variants=[Variant(columns=rest)]).grid


class Facts:
    """Names, and beside each what there is to say of it."""

    def __init__(self, facts: Mapping[str, str | Sequence[str]]) -> None:
        self._facts = facts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        size = max(map(len, self._facts)) + 2
        for name, fact in self._facts.items():
            text = fact if isinstance(fact, str) else join_items(fact, options.max_width - size)
            yield from beside(Text(name, style="dim"), size, [(text, "")], options)
