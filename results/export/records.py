"""Convert a table to records: one row per configuration, claim or number, one value per column.

Numbers are not rounded and in the unit of the Parquet tables: percentages are in 0..1. Missing
values are None.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from results.compare.sweeps import ComparedRow, Comparison
from results.export.document import Export
from results.render.claims_table import ClaimsTable
from results.storage.schema import SWEEP_COLUMNS
from results.tables.details import DetailTable
from results.tables.row_values import Record, bounds, row_values
from results.tables.summary import SummaryRow, SummaryTable
from tasks.contract import Scalar


def records_of(export: Export) -> list[Record]:
    """Return the rows of a table, all with the same columns, beginning with ``task``, ``sweep``."""
    rows = _records(export.table)
    names = list(dict.fromkeys(name for row in rows for name in row))
    head: Record = {"task": export.task, "sweep": export.sweep}
    return [head | {name: _finite(row.get(name)) for name in names} for row in rows]


def _records(table: SummaryTable | DetailTable) -> Sequence[Mapping[str, Scalar]]:
    if isinstance(table, SummaryTable):
        return [_chosen(row_values(row, table.main.key), table) for row in table.rows]
    if isinstance(table, ClaimsTable):
        return _claims(table)
    if isinstance(table, Comparison):
        return [_compared(row, table) for row in table.compared]
    if table.records:
        return table.records
    names = _distinct(table.headings)
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def _chosen(record: Record, table: SummaryTable) -> Record:
    """The record without the parameters and metrics that --columns leaves out."""
    if table.chosen is None:
        return record
    kept = {*table.chosen, table.main.key}
    return {
        name: value
        for name, value in record.items()
        if name in kept or not name.startswith(("param.", "metric."))
    }


def _distinct(headings: Sequence[str]) -> list[str]:
    """Make the headings unique by numbers, because a sweep may be named ``what``."""
    names: list[str] = []
    for heading in headings:
        taken = {*names, *SWEEP_COLUMNS}
        numbered = (f"{heading}_{number}" for number in itertools.count(2))
        names.append(next(n for n in itertools.chain([heading], numbered) if n not in taken))
    return names


def _finite(value: Scalar) -> Scalar:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _claims(table: ClaimsTable) -> list[Record]:
    return [
        {
            "verdict": claim.verdict,
            "claim": claim.text,
            "kind": claim.kind,
            "metric": claim.metric,
            "relation": claim.relation,
            "margin": claim.margin,
            "published_left": claim.published[0],
            "published_right": claim.published[1],
            "ours_left": claim.ours[0],
            "ours_right": claim.ours[1],
            "difference": claim.difference.mean if claim.difference else None,
            **bounds("difference", claim.difference),
            "adjusted_p": claim.p_value,
            "test": claim.test,
            "scope": claim.scope,
            "reason": claim.reason,
            "to_decide_it": claim.decided_by,
        }
        for claim in table.claims
    ]


def _compared(row: ComparedRow, table: Comparison) -> Record:
    record: Record = {}
    sides: list[tuple[str, SummaryRow | None]] = [("first", row.first), ("second", row.second)]
    for column in table.params:
        name = column.key.removeprefix("param.")
        values = [side.params.get(name) if side else None for _, side in sides]
        if column.key in _differing_params(table):
            record |= {f"{column.key}.{s}": v for (s, _), v in zip(sides, values, strict=True)}
        else:
            record[column.key] = values[0] if row.first else values[1]
    key = table.main.key
    for (name, side), shown, seconds in zip(sides, table.names, row.seconds, strict=True):
        record |= {
            f"{name}_sweep": shown,
            f"{name}_trial_ids": " ".join(side.trial_ids) if side else None,
            f"{name}_status": (side.status or "finished") if side else None,
            f"{name}_num_seeds": side.num_seeds if side else None,
            f"{name}.{key}": side.metrics.get(key) if side else None,
            **bounds(f"{name}_interval", side.estimate if side else None),
            f"{name}_deviation": side.deviation if side else None,
            f"{name}_seconds": seconds,
        }
    return record | {
        "difference": row.difference,
        **bounds("difference", row.interval),
        "mark": row.mark,
        "adjusted_p": row.p_value,
    }


def _differing_params(table: Comparison) -> set[str]:
    """Return the parameters in which matched configurations differ."""
    found: set[str] = set()
    for column in table.params:
        name = column.key.removeprefix("param.")
        pairs: Any = [(r.first, r.second) for r in table.compared if r.first and r.second]
        if any(repr(a.params.get(name)) != repr(b.params.get(name)) for a, b in pairs):
            found.add(column.key)
    return found
