"""Export tables as JSON: a list of tables with their content and their records."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from results.export.document import Document
from results.export.records import records_of


def to_json(documents: Sequence[Document]) -> str:
    """Return the tables as JSON. ``records`` are the rows of a CSV file; nan becomes null."""
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
    return json.dumps(_plain(tables), indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
