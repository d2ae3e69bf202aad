"""Show a summary table in the terminal, at any width, without breaking numbers."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult

from results.render.arrange import Arranged, Variant, arrange
from results.render.grid import Column
from results.render.wrapping import NBSP, Prose, glue
from results.tables.cell_text import (
    format_plain,
    heading,
    interval_cell,
    label_signs,
    main_cell,
    metric_cell,
    report_cell,
    short_ids,
)
from results.tables.rows import SummaryTable
from tasks import contract
from tasks.contract import Scalar


class SummaryView:
    """Shows a summary table, with as many other metrics as fit."""

    def __init__(self, table: SummaryTable) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Prose([self._table.title], "bold")
        caption = list(self._table.caption)
        if self._table.rows:
            arranged = arrange_summary(self._table, options.max_width)
            yield arranged.grid
            caption += explain_hidden_columns(arranged.hidden)
        yield Prose([_whole_items(line) for line in caption], gap=True)


def explain_hidden_columns(hidden: Sequence[str]) -> list[str]:
    """Return a line that names the hidden columns, if there are any."""
    return [f"A wider terminal also shows {', '.join(map(glue, hidden))}."] if hidden else []


def _whole_items(line: str) -> str:
    """Prevent line breaks between the names and values of parameters in a caption."""
    if not line.startswith("All rows"):
        return line
    start, _, items = line.partition(": ")
    return f"{start}: {', '.join(glue(item) for item in items.split(', '))}"


def arrange_summary(table: SummaryTable, width: int) -> Arranged:
    """Arrange a table in the fullest layout that fits ``width``."""
    trial = Column(
        heading="trial",
        cells=[short_ids(row.all_ids, table.id_digits) for row in table.rows],
        right=False,
    )
    return arrange(
        width,
        first=trial if any(trial.cells) else None,
        params=[
            param_column(column.label, [row.params.get(param_name(column)) for row in table.rows])
            for column in table.params
        ],
        variants=_variants(table),
        more=[
            Column(
                heading=heading(column),
                cells=[metric_cell(row, column) for row in table.rows],
            )
            for column in table.metrics
        ],
        bold=[number for number, row in enumerate(table.rows) if row.mark == "best"],
    )


def _variants(table: SummaryTable) -> list[Variant]:
    rows = table.rows
    name = heading(table.main)
    values = _aligned([main_cell(row, table) for row in rows], "◆")
    intervals = [interval_cell(row, table) for row in rows]
    main = Column(heading=name, cells=values)
    interval = Column(heading="95 %", cells=intervals)
    published = Column(heading="published", cells=_published(table))
    status = Column(heading="status", cells=[row.status for row in rows], right=False)
    others = [published] if table.has_report else []
    tail = [status] if any(status.cells) else []
    if not any(intervals):
        below = Column(heading=name, cells=_stack(values, status.cells))
        stacked = [Variant(columns=[below, *others])] if tail else []
        return [Variant(columns=[main, *others], tail=tail), *stacked]
    pairs = Column(heading=name, cells=_stack(values, intervals))
    variants = [
        Variant(columns=[main, interval, *others], tail=tail),
        Variant(columns=[pairs, *others], tail=tail),
    ]
    if tail:
        whole = Column(heading=name, cells=_stack(values, intervals, status.cells))
        variants.append(Variant(columns=[whole, *others]))
    return variants


def _published(table: SummaryTable) -> list[str]:
    cells = [report_cell(row, table) for row in table.rows]
    for sign in sorted(label_signs(table.rows).values(), key=len, reverse=True)[:1]:
        return _aligned(cells, sign)
    return cells


def _aligned(cells: Sequence[str], sign: str) -> list[str]:
    """Pad cells for a sign after the number, so that the numbers are aligned."""
    if not any(cell.endswith(sign[0]) for cell in cells):
        return list(cells)
    size = len(sign) + 1
    signs = [cell[len(cell.rstrip(sign[0])) :] for cell in cells]
    return [
        cell + NBSP * (size - len(found) - bool(found))
        for cell, found in zip(cells, signs, strict=True)
    ]


def _stack(*columns: Sequence[str]) -> list[str]:
    """Stack the cells of several columns in one; empty cells take no line."""
    rows = zip(*columns, strict=True)
    return ["\n".join(part for part in parts if part) for parts in rows]


def param_name(column: contract.Column) -> str:
    """Return the name of a column's parameter."""
    return column.key.removeprefix("param.")


def param_column(heading: str, values: Sequence[Scalar]) -> Column:
    """Return a column of a parameter's values. Text of several words is quoted, and wraps."""
    texts = [value for value in values if isinstance(value, str)]
    return Column(
        heading=heading,
        cells=[param_text(value) for value in values],
        right=not texts,
        wraps=any(" " in text for text in texts),
    )


def param_text(value: Scalar) -> str:
    """Format a parameter's value, and prevent line breaks at leading and trailing spaces."""
    text = format_plain(value)
    if isinstance(value, str) and value.strip() != value:
        inner = value.strip()
        before = len(value) - len(value.lstrip())
        after = len(value) - len(inner) - before
        return f'"{NBSP * before}{inner}{NBSP * after}"' if inner else f'"{NBSP * len(value)}"'
    return text
