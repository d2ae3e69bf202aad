"""Match the configurations of two sweeps by the parameters that vary in either sweep.

A parameter in which the sweeps differ as a whole, such as after ``--set epochs=10``, is ignored. It
has one value in one sweep, and almost always a different value in the other. There are exceptions,
because a task may reset a parameter to its default in rows where it has no effect.
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
    """Pairs in the order of the first sweep, the unmatched rows, and the differing parameters.

    A row may be in several pairs: with ``--set epochs=10``, two rows that differ only in epochs
    become one.
    """

    pairs: list[tuple[SummaryRow, SummaryRow]]
    only_first: list[SummaryRow]
    only_second: list[SummaryRow]
    differing: list[str]  # parameters in which the sweeps differ as a whole
    matched: list[str]  # parameters that vary and must be equal


def match(first: Sequence[SummaryRow], second: Sequence[SummaryRow]) -> Match:
    """Pair the configurations of two sweeps."""
    names = list(dict.fromkeys(name for row in (*first, *second) for name in row.params))
    varying = [n for n in names if len({_value(row, n) for row in (*first, *second)}) > 1]
    differing = [
        n
        for n in varying
        if _differs_throughout(n, first, second) or _differs_throughout(n, second, first)
    ]
    matched = [n for n in varying if n not in differing]
    pairs, used = [], set()
    exact = {_key(row, varying): row for row in second}
    taken = {_key(row, varying) for row in first} & exact.keys()
    others: dict[Hashable, list[SummaryRow]] = {}  # rows of the second sweep without an equal row
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
        differing=differing,
        matched=matched,
    )


def _differs_throughout(
    name: str, fixed: Sequence[SummaryRow], other: Sequence[SummaryRow]
) -> bool:
    """Return whether a parameter has one value in ``fixed`` and mostly others in ``other``."""
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
