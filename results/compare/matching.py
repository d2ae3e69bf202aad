"""Which configurations of two sweeps belong together: those alike in what either sweep varies.

A parameter in which the sweeps differ as a whole, as ``--set epochs=10`` makes it, is no part of
the match: it has one value in one sweep, and in the other nearly always another. Nearly, because
a task may set a parameter back to its default in a row where it has no effect.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from results.tables.summary import SummaryRow
from tasks.contract import Scalar


@dataclass(frozen=True, kw_only=True)
class Match:
    """Pairs in the first sweep's order, what is left of each, and what they differ in throughout.

    A row may be in several pairs: with ``--set epochs=10`` two rows that differed in epochs alone
    have become one.
    """

    pairs: list[tuple[SummaryRow, SummaryRow]]
    only_first: list[SummaryRow]
    only_second: list[SummaryRow]
    apart: list[str]  # parameters in which the sweeps differ as a whole
    matched: list[str]  # parameters that vary and must be equal


def match(first: Sequence[SummaryRow], second: Sequence[SummaryRow]) -> Match:
    """Pair the configurations of two sweeps."""
    names = list(dict.fromkeys(name for row in (*first, *second) for name in row.params))
    varying = [n for n in names if len({_value(row, n) for row in (*first, *second)}) > 1]
    apart = [n for n in varying if _is_apart(n, first, second) or _is_apart(n, second, first)]
    matched = [n for n in varying if n not in apart]
    pairs, used = [], set()
    exact = {_key(row, varying): row for row in second}
    taken = {_key(row, varying) for row in first} & exact.keys()
    others: dict[Hashable, list[SummaryRow]] = {}  # of the second sweep, without an equal
    for row in second:
        if _key(row, varying) not in taken:
            others.setdefault(_key(row, matched), []).append(row)
    only_first = []
    for row in first:
        key = _key(row, varying)
        partners = [exact[key]] if key in taken else others.get(_key(row, matched), [])
        pairs += [(row, partner) for partner in partners]
        used |= {id(partner) for partner in partners}
        if not partners:
            only_first.append(row)
    return Match(
        pairs=pairs,
        only_first=only_first,
        only_second=[row for row in second if id(row) not in used],
        apart=apart,
        matched=matched,
    )


def _is_apart(name: str, fixed: Sequence[SummaryRow], other: Sequence[SummaryRow]) -> bool:
    """Whether it has one value in ``fixed``, and in ``other`` nearly always another."""
    values = {_value(row, name) for row in fixed}
    if len(values) != 1 or not other:
        return False
    counted = Counter(_value(row, name) for row in other)
    usual, times = counted.most_common(1)[0]
    return values.isdisjoint(counted) or (usual not in values and 2 * times > len(other))


def _value(row: SummaryRow, name: str) -> str:
    value: Scalar = row.params.get(name)
    return json.dumps(value)


def _key(row: SummaryRow, names: Sequence[str]) -> Hashable:
    return tuple(_value(row, name) for name in names)
