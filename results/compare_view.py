"""A comparison for the terminal: one line a row where there is room, else stacked."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from results.compare import (
    ComparedRow,
    Comparison,
    difference_cell,
    interval_text,
    param_cell,
    value_cell,
)
from results.details import DetailTable
from results.summary import MAX_ROWS, SummaryRow
from results.tables import DetailView
from results.words import plural

_HEADING = 14  # columns of a sweep's name before it is broken


def render_comparison(whole: DetailTable, table: DetailTable) -> RenderableType:
    """Everything ``compare`` prints."""
    view = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading in whole.headings:
        view.add_column(heading, overflow="fold")
    for row in whole.rows:
        view.add_row(*row)
    below = ComparisonView(table) if isinstance(table, Comparison) else DetailView(table)
    return Group(Text(whole.title, style="bold"), view, below)


class ComparisonView:
    """The rows of a comparison, in the widest layout that fits its console."""

    def __init__(self, table: Comparison) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        sections = [
            [r for r in self._table.compared if r.first and r.second],
            [r for r in self._table.compared if not r.second],
            [r for r in self._table.compared if not r.first],
        ]
        for layout in (_Wide, _Stacked, _Narrow):
            view = layout(self._table).render([rows[:MAX_ROWS] for rows in sections])
            wanted = Measurement.get(console, options.update(width=10_000), view).maximum
            if wanted <= options.max_width:
                break
        yield Text(self._table.title, style="bold")
        yield view
        hidden = sum(max(0, len(rows) - MAX_ROWS) for rows in sections)
        if hidden:
            yield Text(f"{plural(hidden, 'further row')}: --format csv has all.", style="dim")
        for line in self._table.caption:
            yield Text(line, style="dim")


class _Wide:
    """One line a row: every number in a column of its own."""

    def __init__(self, table: Comparison) -> None:
        self._table = table
        self._rows = table.compared
        self._intervals = any(r.interval or _estimates(r) for r in table.compared)
        self._times = any(s is not None for r in table.compared for s in r.seconds)

    def render(self, sections: Sequence[Sequence[ComparedRow]]) -> Table:
        view = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
        self.add_columns(view)
        for rows in sections:
            for row in rows:
                view.add_row(*self.cells(row))
            view.add_section()
        return view

    def add_columns(self, view: Table) -> None:
        self.add_param_columns(view)
        for heading in self._headings():
            view.add_column(heading, justify="right", no_wrap=True)

    def add_param_columns(self, view: Table) -> None:
        for column in self._table.params:
            view.add_column(column["label"].replace(" ", "\n"), justify="right", no_wrap=True)

    def _headings(self) -> list[str]:
        headings: list[str] = []
        names = [_broken(name) for name in self._table.names]
        for name in [*names, "difference"]:
            headings += [name, "95 %"] if self._intervals else [name]
        return headings + ([f"{name}\ns" for name in names] if self._times else [])

    def cells(self, row: ComparedRow) -> list[str]:
        main = self._table.main
        cells = self.param_cells(row)
        for side in (row.first, row.second):
            cells.append(_value(side, self._table))
            if self._intervals:
                cells.append(interval_text(side.estimate if side else None, main))
        cells.append(difference_cell(row, main))
        if self._intervals:
            cells.append(interval_text(row.interval, main))
        return cells + (list(map(_seconds, row.seconds)) if self._times else [])

    def param_cells(self, row: ComparedRow) -> list[str]:
        return [param_cell(row, column) for column in self._table.params]


class _Stacked(_Wide):
    """A number, its interval and its time one below the other."""

    def _headings(self) -> list[str]:
        return [*(_broken(name) for name in self._table.names), "difference"]

    def cells(self, row: ComparedRow) -> list[str]:
        main = self._table.main
        cells = self.param_cells(row)
        for side, seconds in zip((row.first, row.second), row.seconds, strict=True):
            took = f"{_seconds(seconds)} s" if seconds is not None else ""
            interval = interval_text(side.estimate if side else None, main)
            cells.append(_lines(_value(side, self._table), interval, took))
        return [*cells, _lines(difference_cell(row, main), interval_text(row.interval, main))]


class _Narrow(_Stacked):
    """The same, with all parameters in one column that is as wide as there is room."""

    def add_param_columns(self, view: Table) -> None:
        view.add_column("configuration", overflow="fold")

    def param_cells(self, row: ComparedRow) -> list[str]:
        cells = [f"{c['label']} {param_cell(row, c)}" for c in self._table.params]
        return [", ".join(cells) or "all"]


def _estimates(row: ComparedRow) -> bool:
    return any(side is not None and side.estimate is not None for side in (row.first, row.second))


def _value(row: SummaryRow | None, table: Comparison) -> str:
    """A value, or in its place or below it what is missing, in few words."""
    text = value_cell(row, table.main)
    if row is None or not row.status:
        return text
    short = row.status.split(":")[0].removesuffix(" steps").replace(" early after ", ", step ")
    return short if text == "-" else _lines(text, short)


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}"


def _lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def _broken(name: str) -> str:
    return "\n".join(textwrap.wrap(name, _HEADING))
