"""Read the sweep in an archive, with checks because it is untrusted."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from rich.console import Console

from results.archive.files import MAX_TEXT, Archive, open_archive
from results.render.sweep_tables import render
from results.storage.manifest import Manifest
from results.storage.reading import Sweep
from results.storage.schema import TABLES, fill_sweep
from results.storage.store import concat, decode_part, union
from tasks.contract import StoreError, SweepError

MAX_CELLS = 500_000_000  # of one table
MAX_TABLE = 8 * 2**30  # bytes of one table in memory, from its header


@dataclass
class ArchivedSweep(Sweep):
    """The sweep in an archive, from which its tables are read."""

    archive: Archive = field(kw_only=True)

    def read_file(self, name: str) -> bytes | None:
        """Read a file of the archive; None if it does not exist.

        Raises:
            OSError: if it is too long.
        """
        facts = self.archive.files.get(f"{self.archive.task}/{self.archive.name}/{name}")
        if facts is None:
            return None
        if facts["bytes"] > MAX_TEXT:
            raise OSError(f"it is longer than {MAX_TEXT:,} bytes")
        return self.archive.read(name)

    def _read(self, table: str) -> pa.Table:
        parts = []
        for name in self.archive.parts(table):
            blob = pa.BufferReader(self.archive.read(name))
            _check_table(self.archive.path, name, blob)
            part = decode_part(blob, name)
            if part is None:
                raise StoreError(f"{name} in {self.archive.path} is not a table of a sweep")
            parts.append(part)
        try:
            rows = concat(parts) if table not in TABLES else union(table, parts)
        except (pa.ArrowException, TypeError) as error:
            raise StoreError(f"{table} in {self.archive.path} do not fit: {error}") from None
        return fill_sweep(rows, self.archive.task, self.archive.name)


def _check_table(path: str, name: str, blob: pa.BufferReader) -> None:
    """Raise an error if the header of a table shows that it would use too much memory."""
    try:
        found = pq.ParquetFile(blob).metadata
        groups = (found.row_group(index) for index in range(found.num_row_groups))
        size = sum(group.total_byte_size for group in groups)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StoreError(f"{name} in {path} is not a table of a sweep ({error})") from None
    cells = found.num_rows * found.num_columns
    if cells > MAX_CELLS or size > MAX_TABLE:
        raise StoreError(
            f"{path} is refused: {name} has {cells:,} cells and {size:,} bytes, but the limits are "
            f"{MAX_CELLS:,} and {MAX_TABLE:,}"
        )
    blob.seek(0)


def read_archive(path: str) -> ArchivedSweep:
    """Check an archive completely, and return its sweep.

    Raises:
        RequestError: if there is no such file, or if it is not an archive of a sweep.
        StoreError: if it is damaged or has been changed.
    """
    archive = open_archive(path)
    inside = f"{path}/{archive.task}/{archive.name}"
    if archive.files[f"{archive.task}/{archive.name}/sweep.json"]["bytes"] > MAX_TEXT:
        raise StoreError(f"{path} is refused: its sweep.json is longer than {MAX_TEXT:,} bytes")
    manifest = Manifest.from_json(
        archive.read("sweep.json"), f"sweep.json in {path}", "copy the archive again"
    )
    if (manifest.task, manifest.name) != (archive.task, archive.name):
        raise StoreError(f"{path} is refused: its sweep.json belongs to another sweep")
    sweep = ArchivedSweep(pyarrow.fs.LocalFileSystem(), inside, manifest, archive=archive)
    _check_shown(sweep)
    return sweep


def _check_shown(sweep: ArchivedSweep) -> None:
    """Raise an error if no table can be made from the results, before hours of a replay."""
    try:
        Console(file=io.StringIO()).print(render(sweep))
    except SweepError:
        raise
    except Exception as error:  # forged values raise many kinds of errors
        raise StoreError(
            f"{sweep.archive.path} is refused: no table can be made from it "
            f"({type(error).__name__}: {error})"
        ) from None
