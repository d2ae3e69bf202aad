"""Which columns of a table stand side by side, and which go below their row.

What identifies a row, its parameters and its result is in every layout; further numbers are shown
as far as there is room. The order of retreat:

1. further numbers are left out, and named
2. numbers go below each other: the interval below its value
3. the parameters go below their row
4. everything goes below what identifies the row
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from results.render.grid import GAP, Column, Grid


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to show the results of the rows, the widest first."""

    columns: Sequence[Column]
    tail: Sequence[Column] = ()  # after further numbers


@dataclass(frozen=True, kw_only=True)
class Arranged:
    """A grid that fits, and the names of what it leaves out."""

    grid: Grid
    hidden: list[str]
    num_more: int  # of the further columns, how many are shown


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
    """The first layout that fits ``width``.

    Args:
        width: columns of the terminal.
        first: what identifies a row.
        params: its parameters.
        variants: its results, in ever narrower forms.
        more: further columns, shown as far as there is room, in this order.
        bold: rows in bold.
        sections: rows that begin a section.
    """
    head = [first] if first else []
    style = {"bold": bold, "sections": sections}
    for variant in variants:
        columns = [*head, *params, *variant.columns]
        if _least([*columns, *variant.tail]) <= width:
            return _arranged(columns, variant, more, width, **style)
    every = [*variants[0].columns, *variants[0].tail]
    rows = range(len(every[0].cells))
    items = [_items(params, row) for row in rows]
    for variant in variants:
        columns = [*head, *variant.columns]
        if _least([*columns, *variant.tail]) + (0 if head else GAP) <= width:
            room = width - (0 if head else GAP)  # what is below its parameters is indented
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
    """One column, and below each of its cells the row's other values with their names."""
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


def _least(columns: Sequence[Column]) -> int:
    return sum(column.least for column in columns) + GAP * (len(columns) - 1)


def _num_more(
    columns: Sequence[Column], variant: Variant, more: Sequence[Column], width: int
) -> int:
    """How many further columns fit without breaking any prose that would fit whole."""
    used = Grid(columns=[*columns, *variant.tail]).natural
    number = 0
    for column in more:
        used += GAP + column.natural
        if used > width:
            break
        number += 1
    return number


def _items(columns: Sequence[Column], row: int) -> list[str]:
    return [item for item in (column.item(row) for column in columns) if item]
