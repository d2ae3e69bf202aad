"""Convert a table to columns of text, as in the terminal, for formats that people read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from results.tables.cell_text import heading
from results.tables.details import DetailTable
from results.tables.summary import (
    SummaryRow,
    SummaryTable,
    format_plain,
    format_value,
    interval_cell,
    main_cell,
    metric_cell,
    report_cell,
)
from tasks import contract

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")
_LOOSE = re.compile(r"[-+\d.,\s\[\]%†★≈◆±→▲▼=<]*(e-?\d+)?")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of text: its heading and one cell per row."""

    heading: str
    cells: list[str]

    @property
    def is_numeric(self) -> bool:
        """Whether every cell is empty or a number with its signs, to be right-aligned."""
        shown = [cell for cell in self.cells if cell not in ("", "-")]
        return bool(shown) and all(
            all(_LOOSE.fullmatch(word) for word in cell.split()) for cell in shown
        )

    @property
    def is_plain(self) -> bool:
        """Whether every cell is empty or one decimal number."""
        shown = [cell for cell in self.cells if cell not in ("", "-")]
        return bool(shown) and all(_NUMBER.fullmatch(cell) for cell in shown)


def columns_of(table: SummaryTable | DetailTable, *, separate_marks: bool = False) -> list[Column]:
    """Return the columns of a table.

    Args:
        table: any table.
        separate_marks: whether to put marks and deviations into separate columns.
    """
    if isinstance(table, DetailTable):
        cells = zip(*table.rows, strict=True) if table.rows else [[] for _ in table.headings]
        return [
            Column(heading=heading, cells=list(texts))
            for heading, texts in zip(table.headings, cells, strict=True)
        ]
    columns = [
        Column(
            heading=column.label,
            cells=[format_plain(row.params.get(_param(column))) for row in table.rows],
        )
        for column in table.params
    ]
    columns += _separate_main(table) if separate_marks else [_main(table)]
    if any(row.estimate for row in table.rows):
        cells_ = [interval_cell(row, table) for row in table.rows]
        columns.append(Column(heading="95 %", cells=cells_))
    if table.has_report:
        published = [report_cell(row, table) for row in table.rows]
        columns.append(Column(heading="published", cells=published))
    for column in table.metrics:
        values = [metric_cell(row, column) for row in table.rows]
        columns.append(Column(heading=heading(column), cells=values))
    if any(row.status for row in table.rows):
        columns.append(Column(heading="status", cells=[row.status for row in table.rows]))
    if any(row.reason for row in table.rows):
        columns.append(Column(heading="reason", cells=[row.reason for row in table.rows]))
    return columns


def best_rows(table: SummaryTable | DetailTable) -> set[int]:
    """Return the indices of the best rows of a table."""
    return {n for n, row in enumerate(table.rows) if getattr(row, "mark", "") == "best"}


def _main(table: SummaryTable) -> Column:
    cells = [main_cell(row, table) for row in table.rows]
    return Column(heading=heading(table.main), cells=cells)


def _separate_main(table: SummaryTable) -> list[Column]:
    form, key = table.main.format, table.main.key
    main = Column(
        heading=heading(table.main),
        cells=[format_value(row.metrics.get(key), form) for row in table.rows],
    )
    marks = Column(heading="", cells=[_marks(row) for row in table.rows])
    found = [marks] * any(marks.cells) + [main]
    if any(row.deviation is not None for row in table.rows):
        deviations = [
            "" if row.deviation is None else format_value(row.deviation, form) for row in table.rows
        ]
        found.append(Column(heading="±", cells=deviations))
    return found


def _marks(row: SummaryRow) -> str:
    return {"best": "★", "tie": "≈", "untested": "?"}.get(row.mark, "") + (
        "◆" if row.on_front else ""
    )


def _param(column: contract.Column) -> str:
    return column.key.removeprefix("param.")
