"""Export tables as JSON: a list of tables with their content and their records."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from results.export.document import Document
from results.export.records import records_of
from results.json_values import to_json_value


def to_json(documents: Sequence[Document]) -> str:
    """Return the tables as JSON. ``records`` are the rows of a CSV file; nan becomes null."""
    return json.dumps(tables_of(documents), indent=1, allow_nan=False) + "\n"


def tables_of(documents: Sequence[Document]) -> list[dict[str, Any]]:
    """Return the same as plain values."""
    tables = [
        {
            "task": table.task,
            "sweep": table.sweep,
            "name": table.name,
            **dataclasses.asdict(table.table),
            "records": records_of(table),
        }
        for document in documents
        for table in document.tables
    ]
    found: list[dict[str, Any]] = to_json_value(tables)
    return found
