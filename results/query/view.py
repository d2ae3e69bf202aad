"""The result of a query for the terminal, as CSV and as JSON values."""

from __future__ import annotations

import csv
import datetime
import io
import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from rich.console import Console, ConsoleOptions, RenderResult

from results.json_values import to_json_value
from results.render.arrange import Variant, arrange
from results.render.grid import Column
from results.render.wrapping import Prose
from results.tables.cell_text import format_plain
from results.text import plural
from tasks.contract import RequestError

MAX_ROWS = 200  # in the terminal


class QueryView:
    """The first rows of a result, one column a value; below their row where there is no room."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        number = self._rows.num_rows
        if number:
            shown = self._rows.slice(0, MAX_ROWS)
            columns = [
                _column(name, values, shown.schema.field(name).type)
                for name, values in _values(shown).items()
            ]
            variants = [Variant(columns=columns[1:])]
            yield arrange(options.max_width, first=columns[0], params=(), variants=variants).grid
        if number > MAX_ROWS:
            more = "add LIMIT, or --json, --csv or --parquet FILE for all"
            yield Prose([f"The first {MAX_ROWS} of {plural(number, 'row')}; {more}."], gap=True)
        else:
            yield Prose([f"{plural(number, 'row')}."], gap=number > 0)


def to_csv(rows: pa.Table) -> str:
    """CSV with a heading. Null is an empty cell; a list or a mapping is its JSON text.

    Raises:
        RequestError: if a time is infinite or not in the years 1 to 9999.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(rows.column_names)
    columns = [[_csv_cell(value) for value in values] for values in _values(rows).values()]
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue()


def to_fields(rows: pa.Table) -> dict[str, Any]:
    """The columns with their types, and the rows as objects.

    Raises:
        RequestError: if a time is infinite or not in the years 1 to 9999.
    """
    values = _values(rows)
    records = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    columns = [{"name": field.name, "type": str(field.type)} for field in rows.schema]
    return {"columns": columns, "num_rows": rows.num_rows, "rows": records}


def _values(rows: pa.Table) -> dict[str, list[Any]]:
    """The values of each column, by its name, which no other column has.

    Raises:
        RequestError: if a time is infinite or not in the years 1 to 9999.
    """
    found = {}
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        try:
            found[name] = column.to_pylist()
        except (OverflowError, ValueError):
            raise RequestError(
                f"the column {name} contains a time that is infinite or not in the years 1 to "
                f"9999; convert it to text: {name}::VARCHAR"
            ) from None
    return found


def _column(name: str, values: Sequence[Any], kind: pa.DataType) -> Column:
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    is_number |= pa.types.is_decimal(kind)
    cells = [_cell(value) for value in values]
    return Column(heading=name, cells=cells, right=is_number, wraps=not is_number)


def _cell(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bytes):
        return plural(len(value), "byte")
    plain = to_json_value(value)
    if isinstance(plain, (list, dict)):
        return json.dumps(plain, ensure_ascii=False)
    return plain if isinstance(plain, str) else format_plain(plain)


def _csv_cell(value: Any) -> Any:
    plain = to_json_value(value)
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, (list, dict)) else plain
