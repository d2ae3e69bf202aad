"""A comparison for the terminal: one line a row where there is room, else stacked."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult

from results.compare import (
    ComparedRow,
    Comparison,
    difference_cell,
    interval_text,
    param_cell,
    value_cell,
)
from results.details import DetailTable
from results.render.arrange import Variant, arrange
from results.render.detail_view import text_grid
from results.render.grid import Column
from results.render.wrapping import Prose
from results.summary import MAX_ROWS, SummaryRow


def render_comparison(whole: DetailTable, table: Comparison) -> RenderableType:
    """Everything ``compare`` prints."""
    return Group(WholeView(whole), ComparisonView(table))


class WholeView:
    """What two sweeps differ in as a whole, side by side."""

    def __init__(self, table: DetailTable) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Prose([self._table.title], "bold")
        if self._table.rows:
            yield text_grid(self._table.headings, self._table.rows, options.max_width, words=True)


class ComparisonView:
    """The rows of a comparison, in the widest layout that fits its console."""

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
        yield Prose([f"{hidden} further rows: --format csv has them all."] if hidden else [])
        yield Prose(self._table.caption)


def _param(table: Comparison, number: int, rows: Sequence[ComparedRow]) -> Column:
    column = table.params[number]
    cells = [param_cell(row, column) for row in rows]
    name = str(column["key"]).removeprefix("param.")
    sides = [side for row in rows for side in (row.first, row.second) if side]
    texts = [side.params.get(name) for side in sides]
    is_text = any(isinstance(text, str) for text in texts)
    return Column(
        heading=str(column["label"]),
        cells=cells,
        right=not is_text,
        wraps=any(isinstance(text, str) and " " in text for text in texts),
    )


def _variants(table: Comparison, rows: Sequence[ComparedRow]) -> list[Variant]:
    main = table.main
    values = [
        [_value(side, table) for side in sides]
        for sides in ([r.first for r in rows], [r.second for r in rows])
    ]
    intervals = [
        [interval_text(side.estimate if side else None, main) for side in sides]
        for sides in ([r.first for r in rows], [r.second for r in rows])
    ]
    seconds = [[_seconds(row.seconds[which]) for row in rows] for which in (0, 1)]
    differences = [difference_cell(row, main) for row in rows]
    of_difference = [interval_text(row.interval, main) for row in rows]
    has_intervals = any(map(any, [*intervals, of_difference]))
    has_times = any(cell != "-" for cells in seconds for cell in cells)
    wide, stacked = [], []
    for which, name in enumerate(table.names):
        wide.append(Column(heading=name, cells=values[which]))
        if has_intervals:
            wide.append(Column(heading="95 %", cells=intervals[which], name=f"{name} 95 %"))
        took = ["" if cell == "-" else f"{cell} s" for cell in seconds[which]]
        stacked.append(Column(heading=name, cells=_stack(values[which], intervals[which], took)))
    wide.append(Column(heading="difference", cells=differences))
    if has_intervals:
        wide.append(Column(heading="95 %", cells=of_difference, name="difference 95 %"))
    if has_times:
        wide += [
            Column(heading=f"{name} s", cells=seconds[which])
            for which, name in enumerate(table.names)
        ]
    stacked.append(Column(heading="difference", cells=_stack(differences, of_difference)))
    return [Variant(columns=wide), Variant(columns=stacked)]


def _value(row: SummaryRow | None, table: Comparison) -> str:
    """A value, and in its place or below it what is missing."""
    text = value_cell(row, table.main)
    if row is None or not row.status:
        return text
    return row.status if text == "-" else f"{text}\n{row.status}"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}"


def _stack(*columns: Sequence[str]) -> list[str]:
    """Cells below each other; nothing takes no line."""
    return ["\n".join(part for part in parts if part) for parts in zip(*columns, strict=True)]
