"""Choose a layout for a table that fits the width of the terminal.

Every layout shows the id, the parameters and the result of a row. Other numbers are shown if there
is room. To fit, the layouts give up in this order:

1. Other numbers are hidden, and the caption names them.
2. Numbers are stacked: the interval goes below its value.
3. The parameters go below their row.
4. Everything goes below the id of the row.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from results.render.grid import GAP, Column, Grid


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to show the results of the rows."""

    columns: Sequence[Column]
    tail: Sequence[Column] = ()  # shown after other numbers


@dataclass(frozen=True, kw_only=True)
class Arranged:
    """A grid that fits, and the names of the hidden columns."""

    grid: Grid
    hidden: list[str]
    num_more: int  # number of other columns that are shown


def arrange(
    width: int,
    *,
    first: Column | None,
    params: Sequence[Column],
    variants: Sequence[Variant],
    more: Sequence[Column] = (),
    bold: Collection[int] = (),
    sections: Collection[int] = (),
) -> Arranged:
    """Return the first layout that fits ``width``.

    Args:
        width: the width of the terminal.
        first: the column that identifies a row.
        params: the columns of parameters.
        variants: the columns of results, from the widest to the narrowest form.
        more: other columns, which are shown in this order if there is room.
        bold: indices of rows in bold.
        sections: indices of rows that begin a section.
    """
    head = [first] if first else []
    style = {"bold": bold, "sections": sections}
    for variant in variants:
        columns = [*head, *params, *variant.columns]
        if _min_width([*columns, *variant.tail]) <= width:
            return _arranged(columns, variant, more, width, **style)
    every = [*variants[0].columns, *variants[0].tail]
    rows = range(len(every[0].cells))
    items = [_items(params, row) for row in rows]
    for variant in variants:
        columns = [*head, *variant.columns]
        if _min_width([*columns, *variant.tail]) + (0 if head else GAP) <= width:
            room = width - (0 if head else GAP)  # rows below their parameters are indented
            return _arranged(columns, variant, more, room, items=items, above=not head, **style)
    if head:
        return record(head[0], [*every, *params], more, **style)
    if params:
        named = Column(heading="configuration", cells=[", ".join(line) for line in items])
        return record(named, every, more, **style)
    return record(every[0], every[1:], more, **style)


def record(
    first: Column, others: Sequence[Column], more: Sequence[Column] = (), **style: Any
) -> Arranged:
    """Return a layout of one column, with the row's other values below each cell."""
    items = [_items(others, row) for row in range(len(first.cells))]
    column = dataclasses.replace(first, wraps=True, right=False)
    hidden = [column.name or column.heading for column in more]
    return Arranged(grid=Grid(columns=[column], items=items, **style), hidden=hidden, num_more=0)


def _arranged(
    columns: Sequence[Column], variant: Variant, more: Sequence[Column], width: int, **rest: Any
) -> Arranged:
    number = _num_more(columns, variant, more, width)
    grid = Grid(columns=[*columns, *more[:number], *variant.tail], **rest)
    hidden = [column.name or column.heading for column in more[number:]]
    return Arranged(grid=grid, hidden=hidden, num_more=number)


def _min_width(columns: Sequence[Column]) -> int:
    return sum(column.min_width for column in columns) + GAP * (len(columns) - 1)


def _num_more(
    columns: Sequence[Column], variant: Variant, more: Sequence[Column], width: int
) -> int:
    """Return the number of other columns that fit without wrapping text that would fit."""
    used = Grid(columns=[*columns, *variant.tail]).natural_width
    number = 0
    for column in more:
        used += GAP + column.natural_width
        if used > width:
            break
        number += 1
    return number


def _items(columns: Sequence[Column], row: int) -> list[str]:
    return [item for item in (column.item(row) for column in columns) if item]
