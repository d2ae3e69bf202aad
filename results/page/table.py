"""A table of a page: the text of every cell, and what can be clicked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from results.export.cells import Column, best_rows, columns_of
from results.tables.captions import explain_hidden
from results.tables.cell_text import short_ids
from results.tables.details import DetailTable
from results.tables.rows import SummaryTable

_PROSE = 40  # characters from which a cell may be broken


@dataclass(frozen=True, kw_only=True)
class Heading:
    """The heading of a column."""

    text: str
    is_numeric: bool = False
    href: str = ""  # sorts by the column
    order: str = ""  # "ascending" or "descending" if the table is sorted by it


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of a cell."""

    source: str  # its address; empty if the image cannot be shown
    name: str  # what it shows
    mark: str = ""  # text below it


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: a text, several, or pictures."""

    text: str = ""
    kind: str = ""  # number, prose or nothing
    href: str = ""
    lines: Sequence[str] = ()
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True, kw_only=True)
class PageTable:
    """Headings, rows, and lines of explanation."""

    title: str
    headings: Sequence[Heading]
    rows: Sequence[Sequence[Cell]]
    caption: Sequence[str] = ()
    best: Collection[int] = field(default_factory=set)  # rows
    num_hidden: int = 0  # further rows, which are left out


def page_table(
    table: SummaryTable | DetailTable, trial_link: Callable[[str], str] | None = None
) -> PageTable:
    """Return the cells of a table as the terminal prints them.

    Args:
        table: any table.
        trial_link: for a summary table, the address of a trial; "" where it has none.
    """
    columns, caption, num_hidden = columns_of(table), list(table.caption), 0
    links: list[Sequence[str]] = [[""] * len(column.cells) for column in columns]
    if isinstance(table, SummaryTable):
        cells = [short_ids(row.all_ids, table.id_digits) for row in table.rows]
        firsts = [row.all_ids[0] if row.all_ids else "" for row in table.rows]
        columns = [Column(heading="trial", cells=cells), *columns]
        links.insert(0, [trial_link(one) if trial_link and one else "" for one in firsts])
        num_hidden = table.num_hidden
        command = explain_hidden(num_hidden)  # how the terminal shows them
        caption = [line for line in caption if line not in command]
    made = make_table(table.title, columns, links=links, caption=caption, best=best_rows(table))
    return dataclasses.replace(made, num_hidden=num_hidden)


def make_table(
    title: str,
    columns: Sequence[Column],
    *,
    headings: Sequence[Heading] | None = None,
    links: Sequence[Sequence[str]] | None = None,
    caption: Sequence[str] = (),
    best: Collection[int] = (),
) -> PageTable:
    """Return a table from columns of text; columns of numbers are set right.

    Args:
        title: of the table.
        columns: heading and cells; all have as many.
        headings: in place of the columns' own.
        links: for each column, the address of each cell; "" for none.
        caption: lines below.
        best: numbers of the rows in bold.
    """
    kinds = ["number" if _is_number(column) else "" for column in columns]
    links = links or [[""] * len(column.cells) for column in columns]
    rows = [
        [
            Cell(text=text, kind=kind or ("prose" if len(text) > _PROSE else ""), href=href)
            for text, kind, href in zip(texts, kinds, hrefs, strict=True)
        ]
        for texts, hrefs in zip(
            zip(*(column.cells for column in columns), strict=True),
            zip(*links, strict=True),
            strict=True,
        )
    ]
    own = [
        Heading(text=column.heading, is_numeric=bool(kind))
        for column, kind in zip(columns, kinds, strict=True)
    ]
    return PageTable(title=title, headings=headings or own, rows=rows, caption=caption, best=best)


def _is_number(column: Column) -> bool:
    return column.heading != "trial" and column.is_numeric
