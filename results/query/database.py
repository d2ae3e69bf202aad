"""Runs one SQL query over sweeps, in memory and cut off from files, the network and extensions."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from results.extras import require
from results.query.tables import TABLES, distinct, nest, union_by_name
from results.storage.reading import Sweep
from tasks.contract import RequestError

if TYPE_CHECKING:
    import duckdb

#: With these settings, a query can read only the registered tables.
_SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET python_enable_replacements = false",  # no variables of this program
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET enable_external_access = false",  # no files, no network, no extensions
    "SET lock_configuration = true",
)


def run_query(sql: str, sweeps: Sequence[Sweep]) -> pa.Table:
    """Return the result of a query.

    A table is read only if the query names it. Structs in the result become columns such as
    ``metric.r1``.

    Args:
        sql: one SELECT statement over ``trials``, ``steps``, ``samples`` and ``stages``.
        sweeps: the sweeps to read.

    Raises:
        RequestError: if DuckDB is not installed, or the query is not one valid SELECT statement.
    """
    require("query", "duckdb")
    import duckdb

    try:
        _check_statement(sql)
        with duckdb.connect(":memory:") as connection, warnings.catch_warnings():
            # Arrow tables may hold types that DuckDB announces to treat in another way.
            warnings.simplefilter("ignore")
            for name in _tables_in(sql):
                connection.register(name, nest(name, union_by_name(name, sweeps)))
            for setting in _SETTINGS:
                connection.execute(setting)
            result = _to_arrow(connection.sql(sql))
    except duckdb.Error as error:
        raise RequestError(f"the query failed: {_first_line(error)}{_hint(error, sql)}") from None
    return _flatten(result)


def _check_statement(sql: str) -> None:
    """Raise unless the text is one SELECT; DESCRIBE, SHOW and SUMMARIZE count as such."""
    import duckdb

    statements = duckdb.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        kinds = ", ".join(str(each.type).rpartition(".")[2] for each in statements) or "nothing"
        raise RequestError(f"query takes one SELECT statement, but got {kinds}")


def _tables_in(sql: str) -> Sequence[str]:
    """The tables whose names are in the text; all, if none is, as in SHOW TABLES."""
    return [name for name in TABLES if re.search(rf"\b{name}\b", sql, re.I)] or TABLES


def _to_arrow(relation: duckdb.DuckDBPyRelation) -> pa.Table:
    convert: Any = getattr(relation, "to_arrow_table", None) or relation.fetch_arrow_table
    table: pa.Table = convert()
    return table


def _flatten(rows: pa.Table) -> pa.Table:
    """Structs as columns, and every column with a name of its own."""
    while any(pa.types.is_struct(field.type) for field in rows.schema):
        rows = rows.flatten()
    return rows.rename_columns(distinct(rows.column_names))


def _first_line(error: Exception) -> str:
    """DuckDB's message without the excerpt of the query."""
    text = str(error).partition("\n\nLINE ")[0]
    return " ".join(text.split()).removesuffix("!").rstrip(".")


def _hint(error: Exception, sql: str) -> str:
    if not str(error).startswith("Binder Error"):
        return ""
    if re.search(r'"(param|metric|best)\.', sql):
        return "; write param.NAME and metric.NAME without quotes around the whole"
    return '; `query "DESCRIBE trials"` lists the columns'
