"""Reads the sweeps of a query, and writes its result to a file."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from orchestrator.reports.files import save_file
from results.storage.reading import Sweep, read_sweep
from results.text import print_line
from tasks.contract import StoreError


def read_sweeps(out: str, names: Sequence[tuple[str, str]]) -> list[Sweep]:
    """Return the sweeps that can be read; print a warning for each of the others."""
    found = []
    for task, name in names:
        try:
            found.append(read_sweep(out, task, name))
        except StoreError as error:
            print_line(Console(stderr=True), f"Warning: left out {task}/{name}: {error}")
    return found


def write_parquet(rows: pa.Table, path: str) -> None:
    """Write a table to a Parquet file, atomically.

    Raises:
        RequestError: if it cannot be written.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    save_file(path, sink.getvalue().to_pybytes())
