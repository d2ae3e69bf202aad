"""Which columns of a table stand side by side, and which go below their row.

What identifies a row, its parameters and its result is in every layout; further numbers are shown
as far as there is room. The order of retreat:

1. further numbers are left out, and named
2. a parameter that says the same as another one is left out, and named
3. numbers go below each other: the interval below its value
4. the parameters go below their row
5. everything goes below what identifies the row
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass

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
    kept = [column for column in params if column not in _repeated(params)]
    for variant in variants:
        for shown in [params, *([kept] if len(kept) < len(params) else [])]:
            columns = [*head, *shown, *variant.columns]
            if columns and _least([*columns, *variant.tail]) <= width:
                number = _num_more(columns, variant, more, width)
                names = [column.name or column.heading for column in more[number:]]
                names += [column.name or column.heading for column in params if column not in shown]
                columns += [*more[:number], *variant.tail]
                grid = Grid(columns=columns, bold=bold, sections=sections)
                return Arranged(grid=grid, hidden=names, num_more=number)
    every = [*variants[0].columns, *variants[0].tail]
    rows = range(len(every[0].cells))
    for variant in variants:
        columns = [*head, *variant.columns]
        if _least([*columns, *variant.tail]) <= width:
            number = _num_more(columns, variant, more, width)
            below = [_items(params, row) for row in rows]
            break
    else:
        columns, rest = (head, every) if head else ([every[0]], every[1:])
        columns = [dataclasses.replace(columns[0], wraps=True, right=False)]
        variant, number = Variant(columns=columns), 0
        below = [[*_items(rest, row), *_items(params, row)] for row in rows]
    columns += [*more[:number], *variant.tail]
    grid = Grid(columns=columns, below=below, bold=bold, sections=sections)
    names = [column.name or column.heading for column in more[number:]]
    return Arranged(grid=grid, hidden=names, num_more=number)


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


def _repeated(params: Sequence[Column]) -> list[Column]:
    """Parameters that divide the rows as an earlier one does, so that one says both."""
    seen, repeated = set(), []
    for column in params:
        groups: dict[str, int] = {}
        pattern = tuple(groups.setdefault(cell, len(groups)) for cell in column.cells)
        if pattern in seen and len(groups) < len(pattern):
            repeated.append(column)
        seen.add(pattern)
    return repeated
