"""Export the records of one table as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from results.export.document import Document
from results.export.records import records_of
from results.storage.schema import SWEEP_COLUMNS


def to_csv(documents: Sequence[Document]) -> str:
    """Return the records of the only table as CSV. Several tables need several files."""
    (table,) = (table for document in documents for table in document.tables)
    records = records_of(table)
    out = io.StringIO()
    writer = csv.DictWriter(
        out, list(records[0]) if records else list(SWEEP_COLUMNS), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()
