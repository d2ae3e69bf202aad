"""Columns of text under headings: the layout of a table, independent of its content."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from results.render.wrapping import (
    NBSP,
    glue,
    join_items,
    print_lines,
    unglue,
    widest_line,
    widest_word,
    wrap,
)

GAP = 2  # space between two columns, in characters
_PROSE = 20  # minimum width of a column of text, if it needs that much
_LONGEST = 40  # longest word that a column is made wide enough for
_HALF = 0.65  # a heading's word is broken after a dash if both parts are at most this long


@dataclass(frozen=True, kw_only=True)
class Column:
    """A heading and one cell per row; a cell may have several lines."""

    heading: str
    cells: Sequence[str]
    right: bool = True
    wraps: bool = False  # whether the cells are text, which may be wrapped
    name: str = ""  # shown with a value outside of its column; "" for the heading

    @cached_property
    def natural_width(self) -> int:
        """The width if only the heading is wrapped."""
        return max([self._heading_width, *map(widest_line, self.cells)])

    @cached_property
    def min_width(self) -> int:
        """The minimum width."""
        if not self.wraps:
            return self.natural_width
        word = max((min(_LONGEST, widest_word(cell)) for cell in self.cells), default=0)
        return max(word, self._heading_width, min(self.natural_width, _PROSE))

    @cached_property
    def _heading_width(self) -> int:
        return max(map(cell_len, _chunks(self.heading)))

    def heading_lines(self, width: int) -> list[str]:
        """Wrap the heading at spaces and, in long words, after dashes."""
        lines = [""]
        for chunk in _chunks(self.heading):
            joined = f"{lines[-1]}{'' if lines[-1][-1:] in ('-', '') else ' '}{chunk}"
            if cell_len(joined) <= width:
                lines[-1] = joined
            else:
                lines.append(chunk)
        return [line for line in lines if line] or [""]

    def item(self, row: int) -> str:
        """Format a value outside of its column: ``lr 1e-5``; empty if there is no value."""
        value = " ".join(self.cells[row].split("\n")).strip(f" {NBSP}")
        value = value if self.wraps else glue(value)
        return "" if value in ("", "-") else f"{self.name or self.heading} {value}".strip(" ")


def _chunks(heading: str) -> list[str]:
    """Split a heading into words, and long words after a dash."""
    return [part for word in heading.replace("_", " ").split() for part in _halves(word)] or [""]


def _halves(word: str) -> list[str]:
    splits = [(word[:at], word[at:]) for at in range(1, len(word)) if word[at - 1] == "-"]
    halves = min(splits, key=lambda pair: max(map(len, pair)), default=(word, ""))
    return list(halves) if max(map(len, halves)) <= _HALF * len(word) else [word]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Columns side by side, and above or below each row the values without a column."""

    columns: Sequence[Column]
    items: Sequence[Sequence[str]] = ()  # the values of each row that have no column
    above: bool = False  # whether items are above their rows; equal items are shown once
    bold: Collection[int] = ()  # indices of rows
    sections: Collection[int] = ()  # indices of rows that begin a section, after an empty line
    gap: bool = True  # whether to begin with an empty line

    @property
    def min_width(self) -> int:
        """The minimum width."""
        return sum(c.min_width for c in self.columns) + GAP * (len(self.columns) - 1 + self.above)

    @property
    def natural_width(self) -> int:
        """The width if no cell is wrapped."""
        return sum(c.natural_width for c in self.columns) + GAP * (len(self.columns) - 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.gap:
            yield Text()
        yield from self.lines(options.max_width)

    def lines(self, width: int) -> Iterator[Text]:
        """Yield the heading, a rule and the rows."""
        indent = " " * GAP * self.above
        widths = self._widths(width)
        heads = [c.heading_lines(w) for c, w in zip(self.columns, widths, strict=True)]
        height = max(map(len, heads))
        heads = [[""] * (height - len(head)) + head for head in heads]
        yield from print_lines((indent + line for line in self._join(heads, widths)), "bold")
        yield Text("─" * (len(indent) + sum(widths) + GAP * (len(widths) - 1)))
        for row in range(len(self.columns[0].cells)):
            if row in self.sections:
                yield Text()
            yield from print_lines(self._row(row, widths, width), "bold" * (row in self.bold))

    def _row(self, row: int, widths: Sequence[int], width: int) -> list[str]:
        cells = [
            wrap(column.cells[row], size) if column.wraps else column.cells[row].split("\n")
            for column, size in zip(self.columns, widths, strict=True)
        ]
        lines = list(self._join(cells, widths))
        items = self.items[row] if self.items else ()
        if not self.above:
            rest = wrap(join_items(items, width - GAP), width - GAP) if items else []
            return [*lines, *(" " * GAP + line for line in rest)]
        is_known = row > 0 and row not in self.sections and items == self.items[row - 1]
        head = [] if is_known else wrap(join_items(items, width), width)
        return [*head, *(" " * GAP + line for line in lines)]

    def _join(self, cells: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
        for number in range(max(map(len, cells))):
            parts = []
            for column, lines, width in zip(self.columns, cells, widths, strict=True):
                text = unglue(lines[number]) if number < len(lines) else ""
                space = " " * (width - cell_len(text))
                parts.append(space + text if column.right else text + space)
            yield (" " * GAP).join(parts)

    def _widths(self, width: int) -> list[int]:
        """Return the widths of the columns. Columns of text share the remaining space by need."""
        if len(self.columns) == 1:
            return [min(self.columns[0].natural_width, width)]
        widths = [column.min_width for column in self.columns]
        room = max(0, width - self.min_width)
        needs = [column.natural_width - column.min_width for column in self.columns]
        total = sum(needs)
        if total <= room:
            return [column.natural_width for column in self.columns]
        return [size + need * room // total for size, need in zip(widths, needs, strict=True)]
