"""Tables with difficult texts, for tests of export formats."""

from __future__ import annotations

from typing import Any

import pandas as pd

from results.export import (
    Document,
    make_document,
)
from results.tables.details import DetailTable

NASTY = [
    "\\input{/etc/passwd}",
    "100 % & more_of #1 $x^2$ {a} ~",
    "★≈◆†±→▲▼",
    "[52.1] * `code` **bold** __init__ | pipe",
    "<script>alert(1)</script> &amp; \"quoted\" 'single'",
    "--sampler tpe -- '' ,, ``",
    "![a](http://x/y) [b](c) <http://x>",
    "\\",
    "\\\\",
    "a\nb\tc",
    "#",
    "1. one",
    "- item",
    "über 日本 é",
    "_a_ *b* ~~c~~ snake_case",
]


def document_of(*rows: list[str], caption: list[str] | None = None, title: str = "t") -> Document:
    headings = [f"h{number}" for number in range(len(rows[0]))]
    table = DetailTable(title=title, headings=headings, rows=[*rows], caption=caption or [])
    return make_document("toy", "s", [("table", table)])


def assert_reads_back(frame: pd.DataFrame, records: list[dict[str, Any]]) -> None:
    assert list(frame.columns) == list(records[0])
    assert len(frame) == len(records)
    for name, column in frame.items():
        values = [record[str(name)] for record in records]
        known = [value for value in values if value not in (None, "")]
        kinds = {type(value) for value in known}
        assert len(kinds) <= 1 or kinds == {int, float}
        if kinds == {bool}:
            assert column.dtype == bool
        elif kinds <= {int, float}:  # also a column of missing numbers
            assert pd.api.types.is_numeric_dtype(column), name
        else:
            assert column.dtype == object or pd.api.types.is_string_dtype(column)
        assert column.dropna().tolist() == known
