"""Show a comparison in the terminal: one line per row if there is room, stacked otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from results.compare.sweeps import (
    ComparedRow,
    Comparison,
    difference_cell,
    interval_text,
    param_cell,
    value_cell,
)
from results.render.arrange import Variant, arrange
from results.render.detail_view import DetailView, text_grid
from results.render.grid import Column
from results.render.wrapping import Prose
from results.tables.details import DetailTable
from results.tables.summary import MAX_ROWS
from results.text import plural


def render_comparison(whole: DetailTable, table: DetailTable) -> RenderableType:
    """Render everything that ``compare`` prints."""
    below = ComparisonView(table) if isinstance(table, Comparison) else DetailView(table)
    return Group(SweepDifferencesView(whole), Text(), below)


class SweepDifferencesView:
    """Shows in what two sweeps differ as a whole, side by side."""

    def __init__(self, table: DetailTable) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Prose([self._table.title], "bold")
        if self._table.rows:
            yield text_grid(self._table.headings, self._table.rows, options.max_width, words=True)


class ComparisonView:
    """Shows the rows of a comparison, in the widest layout that fits."""

    def __init__(self, table: Comparison) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        groups = [
            [r for r in self._table.compared if r.first and r.second],
            [r for r in self._table.compared if not r.second],
            [r for r in self._table.compared if not r.first],
        ]
        rows: list[ComparedRow] = []
        sections = []
        for group in groups:
            if rows and group:
                sections.append(len(rows))
            rows += group[:MAX_ROWS]
        params = [_param(self._table, number, rows) for number in range(len(self._table.params))]
        yield Prose([self._table.title], "bold")
        yield arrange(
            options.max_width,
            first=None,
            params=params,
            variants=_variants(self._table, rows),
            sections=sections,
        ).grid
        hidden = len(self._table.compared) - len(rows)
        more = [f"{plural(hidden, 'further row')}; --format csv shows all."] if hidden else []
        yield Prose([*more, *self._table.caption], gap=True)


def _param(table: Comparison, number: int, rows: Sequence[ComparedRow]) -> Column:
    column = table.params[number]
    cells = [param_cell(row, column) for row in rows]
    name = column.key.removeprefix("param.")
    sides = [side for row in rows for side in (row.first, row.second) if side]
    texts = [side.params.get(name) for side in sides]
    is_text = any(isinstance(text, str) for text in texts)
    return Column(
        heading=column.label,
        cells=cells,
        right=not is_text,
        wraps=any(isinstance(text, str) and " " in text for text in texts),
    )


def _variants(table: Comparison, rows: Sequence[ComparedRow]) -> list[Variant]:
    """Return two layouts: every number in its own column, or those of a sweep stacked."""
    main = table.main
    differences = [difference_cell(row, main) for row in rows]
    intervals = [interval_text(row.interval, main) for row in rows]
    sides = [_side(table, number, rows) for number in (0, 1)]
    stacked = [side.stacked() for side in sides]
    stacked.append(Column(heading="difference", cells=_stack(differences, intervals)))
    wide = [column for side in sides for column in side.wide()]
    wide.append(Column(heading="difference", cells=differences))
    if any(intervals):
        wide.append(Column(heading="95 %", cells=intervals, name="difference 95 %"))
    wide += [side.times() for side in sides if any(side.seconds)]
    return [Variant(columns=wide), Variant(columns=stacked)]


@dataclass(frozen=True, kw_only=True)
class _Side:
    """The cells of one of the sweeps."""

    name: str
    values: Sequence[str]
    words: Sequence[str]  # the statuses of unfinished rows
    intervals: Sequence[str]
    seconds: Sequence[str]

    def wide(self) -> list[Column]:
        value = Column(heading=self.name, cells=_stack(self.values, self.words))
        interval = Column(heading="95 %", cells=self.intervals, name=f"{self.name} 95 %")
        return [value, interval] if any(self.intervals) else [value]

    def times(self) -> Column:
        cells = [cell or "-" for cell in self.seconds]
        return Column(heading=f"{self.name} s", cells=cells)

    def stacked(self) -> Column:
        times = [f"{cell} s" if cell else "" for cell in self.seconds]
        cells = _stack(self.values, self.intervals, self.words, times)
        return Column(heading=self.name, cells=cells)


def _side(table: Comparison, number: int, rows: Sequence[ComparedRow]) -> _Side:
    found = [(row.first, row.second)[number] for row in rows]
    words = [side.status if side else "" for side in found]
    values = [value_cell(side, table.main) for side in found]
    seconds = [row.seconds[number] for row in rows]
    return _Side(
        name=table.names[number],
        values=["" if w and v == "-" else v for v, w in zip(values, words, strict=True)],
        words=words,
        intervals=[interval_text(side.estimate if side else None, table.main) for side in found],
        seconds=["" if each is None else f"{each:.1f}" for each in seconds],
    )


def _stack(*columns: Sequence[str]) -> list[str]:
    """Stack the cells of several columns in one; empty cells take no line."""
    return ["\n".join(part for part in parts if part) for parts in zip(*columns, strict=True)]
