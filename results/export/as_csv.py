"""CSV: the records of one table, a heading and a line a record, as ``pandas.read_csv`` takes it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from results.export.document import Document
from results.export.records import records_of
from results.storage.schema import SWEEP_COLUMNS


def to_csv(documents: Sequence[Document]) -> str:
    """The one table there is: tables of different columns are files of their own."""
    (table,) = (table for document in documents for table in document.tables)
    records = records_of(table)
    out = io.StringIO()
    writer = csv.DictWriter(
        out, list(records[0]) if records else list(SWEEP_COLUMNS), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()
