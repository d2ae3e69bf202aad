"""The table of a sweep's trials, with links that sort it and filters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from results.export.cells import Column
from results.page.links import FileLinks, Links
from results.page.selection import PAGE_ROWS, Choice, Selection, choices
from results.page.table import Heading, PageTable, make_table
from results.storage.reading import Sweep
from results.tables.cell_text import id_digits
from results.tables.trials import TrialColumn, trial_columns, trial_notes
from results.text import plural


@dataclass(frozen=True, kw_only=True)
class TrialsPart:
    """One page of the trials that a selection chooses."""

    table: PageTable
    choices: Sequence[Choice]
    selection: Selection
    number: int  # of chosen trials
    count: str  # "12 of 40 trials"
    previous: str = ""  # address of the page before; empty on the first
    next: str = ""


def trials_part(
    sweep: Sweep, selection: Selection, links: Links, *, max_rows: int | None = PAGE_ROWS
) -> TrialsPart:
    """Return the trials of a sweep as a table.

    Args:
        sweep: the sweep.
        selection: filters, order and page.
        links: where a trial's id leads.
        max_rows: trials on a page; None for all.
    """
    rows = sweep.rows()
    digits = id_digits(row["trial_id"] for row in rows)
    every = trial_columns(rows, sweep.manifest, digits)
    chosen = selection.choose(rows)
    size = max_rows or max(1, len(chosen))
    page = min(selection.page, max(1, math.ceil(len(chosen) / size)))
    shown = chosen[(page - 1) * size : page * size]
    more = page * size < len(chosen)
    count = plural(len(rows), "trial")
    return TrialsPart(
        table=_table(shown, sweep, every, selection, links, digits),
        choices=choices(every),
        selection=selection,
        number=len(chosen),
        count=f"{len(chosen):,} of {count}" if selection.is_filtered else count,
        previous=selection.query(page=page - 1) if page > 1 else "",
        next=selection.query(page=page + 1) if more else "",
    )


def _table(
    rows: Sequence[Mapping[str, Any]],
    sweep: Sweep,
    every: Sequence[TrialColumn],
    selection: Selection,
    links: Links,
    digits: int,
) -> PageTable:
    by_key = {column.key: column for column in every}
    index = {row["trial_id"]: number for number, row in enumerate(sweep.rows())}
    places = [index[row["trial_id"]] for row in rows]
    columns = [
        Column(heading=column.heading, cells=[column.cells[place] for place in places])
        for column in by_key.values()
    ]
    task, name = sweep.manifest.task, sweep.manifest.name
    hrefs: list[Sequence[str]] = [[""] * len(rows) for _ in columns]
    hrefs[0] = [links.trial(task, name, row["trial_id"]) for row in rows]
    table = make_table("Trials", columns, links=hrefs, caption=trial_notes(rows))
    headings = [
        _heading(column, made.is_numeric, selection, can_sort=not isinstance(links, FileLinks))
        for column, made in zip(by_key.values(), table.headings, strict=True)
    ]
    return PageTable(title=table.title, headings=headings, rows=table.rows, caption=table.caption)


def _heading(
    column: TrialColumn, is_numeric: bool, selection: Selection, *, can_sort: bool
) -> Heading:
    """Return a heading that sorts: numbers from the highest on at first, then the other way."""
    ascending, descending = column.key, f"-{column.key}"
    first = descending if is_numeric else ascending
    second = ascending if is_numeric else descending
    target = second if selection.sort == first else first
    return Heading(
        text=column.heading,
        is_numeric=is_numeric,
        href=selection.query(sort=target, page=1) if can_sort else "",
        order={ascending: "ascending", descending: "descending"}.get(selection.sort, ""),
    )
