"""Show a table of text in the terminal; text is wrapped, numbers are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from results.render.arrange import record
from results.render.grid import Column, Grid
from results.render.wrapping import Prose, join_items, labeled_lines
from results.tables.details import DetailTable

_WORDS = ("what", "configuration", "reason")  # headings of columns that hold text


class DetailView:
    """Shows a detail table with its title and its caption."""

    def __init__(self, table: DetailTable) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Prose([self._table.title], "bold")
        if self._table.rows:
            yield text_grid(self._table.headings, self._table.rows, options.max_width)
        yield Prose(self._table.caption, gap=True)


def text_grid(
    headings: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, words: bool = False
) -> Grid:
    """Arrange rows of text in a grid.

    If they do not fit, the first column goes above its rows if it is text.

    Args:
        headings: the headings of the columns.
        rows: the cells.
        width: the width of the terminal.
        words: whether all columns but the first contain text.
    """
    columns = []
    for number, heading in enumerate(headings):
        is_text = heading in _WORDS or (words and number > 0)
        cells = [row[number] for row in rows]
        if heading == "configuration":
            cells = [join_items(cell.split(", "), width) for cell in cells]
        right = not is_text and number > 0
        wraps = is_text or any(" " in cell and cell[0] != "[" for cell in cells)
        columns.append(Column(heading=heading, cells=cells, right=right, wraps=wraps))
    first, *rest = columns
    whole, under = Grid(columns=columns), Grid(columns=rest or columns, above=True)
    fits = whole.min_width <= width and (not first.wraps or 2 * first.natural_width <= width)
    if fits or not rest:
        return whole
    if first.wraps and under.min_width <= width:
        return Grid(columns=rest, items=[[cell] for cell in first.cells], above=True)
    return whole if whole.min_width <= width else record(first, rest).grid


class Facts:
    """Shows names and, next to each, its text."""

    def __init__(self, facts: Mapping[str, str | Sequence[str]]) -> None:
        self._facts = facts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        size = max(map(len, self._facts)) + 2
        for name, fact in self._facts.items():
            text = fact if isinstance(fact, str) else join_items(fact, options.max_width - size)
            yield from labeled_lines(Text(name, style="dim"), size, [(text, "")], options)
