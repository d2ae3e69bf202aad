"""One table over several sweeps, as SQL sees it.

Columns named ``param.<field>``, ``metric.<name>`` and ``best.<name>`` become fields of the struct
columns ``param``, ``metric`` and ``best``, so that a query needs no quotes: ``metric.r1``.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from results.json_values import to_json_value
from results.storage.reading import Sweep
from results.storage.schema import FIXED

#: The tables of a query.
TABLES = ("trials", "steps", "samples", "stages")
_STRUCTS: Mapping[str, Sequence[str]] = {
    "trials": ("param", "metric", "best"),
    "steps": ("metric",),
    "samples": (),
    "stages": (),
}


def union_by_name(name: str, sweeps: Sequence[Sweep]) -> pa.Table:
    """The rows of a table in all sweeps; a column that a sweep lacks is null there.

    Rows of an earlier version of a task, or of another model or data, are left out. A column whose
    types have no common one, such as a number in one task and text in another, is text.

    Args:
        name: one of ``TABLES``.
        sweeps: the sweeps to read.
    """
    read = [table for sweep in sweeps if (table := _rows(name, sweep)).num_columns]
    types = dict(FIXED[name])
    for column in dict.fromkeys(itertools.chain.from_iterable(t.column_names for t in read)):
        kinds = [table.schema.field(column).type for table in read if column in table.column_names]
        types[column] = _common_type(kinds)
    empty = pa.schema(list(types.items())).empty_table()
    whole = [empty, *(_cast(table, types) for table in read)]
    return pa.concat_tables(whole, promote_options="permissive")


def nest(name: str, rows: pa.Table) -> pa.Table:
    """The same table with struct columns for parameters and metrics.

    SQL does not distinguish upper and lower case: a second name that differs only in case ends in
    ``_1``.
    """
    prefixes = _STRUCTS[name]
    plain = [c for c in rows.column_names if c.partition(".")[0] not in prefixes or "." not in c]
    names = distinct(plain, taken=prefixes)
    columns = dict(zip(names, (rows[column] for column in plain), strict=True))
    for prefix in prefixes:
        fields = [column for column in rows.column_names if column.startswith(f"{prefix}.")]
        if fields:
            labels = distinct([field.removeprefix(f"{prefix}.") for field in fields])
            arrays = [rows[field].combine_chunks() for field in fields]
            columns[prefix] = pa.StructArray.from_arrays(arrays, names=labels)
    return pa.table(columns)


def _rows(name: str, sweep: Sweep) -> pa.Table:
    table: pa.Table = getattr(sweep, name)
    rows = table if name == "stages" else sweep.current(table)
    return rows.replace_schema_metadata(None)


def _common_type(kinds: Sequence[pa.DataType]) -> pa.DataType:
    try:
        schemas = [pa.schema([("column", kind)]) for kind in kinds]
        return pa.unify_schemas(schemas, promote_options="permissive").field("column").type
    except (pa.ArrowException, TypeError):
        return pa.string()


def _cast(table: pa.Table, types: Mapping[str, pa.DataType]) -> pa.Table:
    for number, field in enumerate(table.schema):
        wanted = types[field.name]
        if wanted == pa.string() and not _is_text(field.type):
            texts = [_as_text(value) for value in table[number].to_pylist()]
            table = table.set_column(number, field.name, pa.array(texts, pa.string()))
    return table


def _as_text(value: Any) -> str | None:
    return None if value is None else json.dumps(to_json_value(value), ensure_ascii=False)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_null(kind))


def distinct(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """The names, with a number where one repeats apart from its case."""
    known = {name.lower() for name in taken}
    found = []
    for name in names:
        numbered = (f"{name}_{number}" for number in itertools.count(1))
        free = next(n for n in itertools.chain([name], numbered) if n.lower() not in known)
        known.add(free.lower())
        found.append(free)
    return found
