"""One sweep's folder: ``sweep.json`` and Parquet parts, each durable before it is counted.

    <root>/<task>/<name>/sweep.json
    <root>/<task>/<name>/{trials,steps,samples}/<time>-<what>-<draw>.parquet
    <root>/<task>/<name>/stages/<time>-run-<draw>.parquet    the shared work of each run

A part is written whole (``atomic_write.py``), the trials table last: a trial is there when its row
is, and its steps and samples are there before. Readers take the union of the parts, so two writers
cannot hurt each other.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from results.storage.atomic_write import atomic_write
from results.storage.filesystem import open_filesystem
from results.storage.manifest import Manifest
from results.storage.schema import (
    STATUSES,
    TABLES,
    VERSION,
    VERSION_KEY,
    is_part,
    to_columns,
    to_table,
    with_sweep,
)
from tasks.contract import StoreError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialResult:
    """One trial that ended: its row, its steps, and the samples of its last step as columns."""

    trial: Mapping[str, Any]
    steps: Sequence[Mapping[str, Any]]
    samples: Mapping[str, Sequence[Any]] | None
    log: str = ""  # of a failed trial, in full


def check_name(name: str) -> str:
    """A sweep's name, if it can be a folder's; it cannot leave ``--out``.

    Raises:
        StoreError: if not.
    """
    if not NAME.fullmatch(name):
        raise StoreError(
            f"a name is letters, digits, '.', '_' and '-', at most 100, but got {name[:120]!r}; "
            "give another with --name"
        )
    return name


class SweepStore:
    """Writes one sweep. Only the driver has one."""

    def __init__(
        self,
        root: str,
        task: str,
        name: str,
        params: Mapping[str, str],
        metrics: Sequence[str] = (),
    ) -> None:
        """``metrics`` are columns that every part has: some readers know the first part's alone."""
        self.filesystem, base = open_filesystem(root)
        self.path = f"{base}/{check_name(task)}/{check_name(name)}"
        self._task, self._name = task, name
        self._params, self._metrics = params, metrics
        try:
            for table in (*TABLES, "stages"):
                self.filesystem.create_dir(f"{self.path}/{table}", recursive=True)
        except OSError as error:
            raise StoreError(f"cannot write to {self.path}: {error}") from None

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace ``sweep.json`` whole."""
        atomic_write(self.filesystem, f"{self.path}/sweep.json", manifest.to_text().encode())

    def add(self, results: Sequence[TrialResult]) -> None:
        """Make trials durable; when this returns they are counted."""
        for result in results:
            if result.log:
                self.write_log(f"{result.trial['trial_id']}.log", result.log.encode())
        name = _part_name("trials")
        columns = {
            "steps": to_columns(row for result in results for row in result.steps),
            "samples": _join(results),
            "trials": to_columns(result.trial for result in results)
            | {name: [r.trial.get(name) for r in results] for name in self._metrics},
        }
        for table in TABLES:
            if columns[table]:
                self._write(table, name, to_table(table, columns[table], self._params))

    def write_log(self, name: str, text: bytes) -> None:
        """Write ``logs/<name>``, replacing an earlier one.

        Raises:
            StoreError: if it cannot be written.
        """
        try:
            self.filesystem.create_dir(f"{self.path}/logs", recursive=True)
        except OSError as error:
            raise StoreError(f"cannot write to {self.path}: {error}") from None
        atomic_write(self.filesystem, f"{self.path}/logs/{name}", text, durable=False)

    def add_tables(self, tables: Mapping[str, pa.Table]) -> None:
        """The same for tables read from another sweep."""
        name = _part_name("reused")
        for table in TABLES:
            if table in tables and tables[table].num_rows:
                self._write(table, name, tables[table])

    def add_stages(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """The shared work of one run, a row a stage."""
        if rows:
            columns = to_columns(rows)
            self._write("stages", _part_name("run"), to_table("stages", columns, {}))

    def compact(self) -> None:
        """Many small parts into one a table; safe to be killed at any moment.

        The union is read without duplicates, so old and new parts may stand side by side. Steps
        and samples go after trials would, in the order that keeps every counted trial whole.
        """
        for table in TABLES:
            name = _part_name("compacted")  # before the parts are listed: later ones are newer
            parts = list_parts(self.filesystem, f"{self.path}/{table}")
            if len(parts) < 2:
                continue
            try:
                read = [read_part(self.filesystem, part) for part in parts]
            except FileNotFoundError:
                continue  # another driver is compacting
            tables = [part for part in read if part is not None]
            if len(tables) < len(parts):
                continue  # a damaged part stays where it is, to be named and looked at
            whole = union(table, tables)
            self._write(table, name, whole)
            for part in parts:
                with contextlib.suppress(FileNotFoundError):  # another driver compacts as well
                    self.filesystem.delete_file(part)

    def _write(self, table: str, name: str, rows: pa.Table) -> None:
        blob = encode_part(rows, self._task, self._name)
        atomic_write(self.filesystem, f"{self.path}/{table}/{name}.parquet", blob)


def encode_part(rows: pa.Table, task: str, sweep: str) -> bytes:
    """A Parquet file of rows as parts of this sweep; equal rows give equal bytes."""
    sink = pa.BufferOutputStream()
    rows = with_sweep(rows, task, sweep)  # also of a trial copied from another sweep
    rows = rows.replace_schema_metadata({VERSION_KEY: str(VERSION).encode()})
    pq.write_table(rows, sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue().to_pybytes())


def _part_name(what: str) -> str:
    """Names sort in the order of time: of two parts with one trial the later one is right."""
    return f"{time.time_ns():020d}-{what}-{uuid.uuid4().hex[:8]}"


def _join(results: Sequence[TrialResult]) -> dict[str, list[Any]]:
    names = list(dict.fromkeys(n for r in results for n in (r.samples or {})))
    joined: dict[str, list[Any]] = {name: [] for name in ("trial_id", "seed", *names)}
    for result in results:
        samples = result.samples or {}
        length = len(next(iter(samples.values()), ()))
        joined["trial_id"] += [result.trial["trial_id"]] * length
        joined["seed"] += [result.trial["seed"]] * length
        for name in names:
            joined[name] += list(samples.get(name, [None] * length))
    return joined if joined["trial_id"] else {}


# --- parts ----------------------------------------------------------------------------------------


def list_parts(filesystem: pyarrow.fs.FileSystem, folder: str) -> list[str]:
    """The finished parts under a table's folder; leftovers of a killed writer do not count."""
    selector = pyarrow.fs.FileSelector(folder, allow_not_found=True)
    found = filesystem.get_file_info(selector)
    return sorted(info.path for info in found if info.path.endswith(".parquet"))


def read_part(filesystem: pyarrow.fs.FileSystem, path: str) -> pa.Table | None:
    """A part, or None if it is damaged, or none of ours.

    Raises:
        StoreError: if it was written in a newer schema.
        FileNotFoundError: if it was compacted away since it was listed.
    """
    try:
        with filesystem.open_input_file(path) as file:
            return decode_part(file, path)
    except FileNotFoundError:
        raise
    except OSError:
        return None


def decode_part(file: Any, path: str) -> pa.Table | None:
    """The part in an open file; see ``read_part``. Its table is the folder in ``path``."""
    try:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        metadata = parquet.schema_arrow.metadata or {}
        version = int(metadata.get(VERSION_KEY, b"0"))
        table = parquet.read()
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError):
        return None
    if version > VERSION:
        raise StoreError(
            f"{path} has schema {version}, this version reads up to {VERSION}: update the project"
        )
    kind = os.path.basename(os.path.dirname(path))
    return table if version > 0 and is_part(kind, table) else None


def concat(tables: Iterable[pa.Table]) -> pa.Table:
    """The union of parts; what one lacks is null there."""
    whole = [table for table in tables if table.num_columns]
    if not whole:
        return pa.table({})
    return pa.concat_tables(whole, promote_options="permissive")


def union(table: str, parts: Sequence[pa.Table]) -> pa.Table:
    """Each trial once, from one part alone, though an old part and its compaction stand together.

    A trial's row: in the order of ``STATUSES``, then the later part's. Its steps and
    samples: all rows of the last part that has any, equal ones too.
    """
    parts = [part for part in parts if part.num_rows]
    rows = concat(parts)
    if not rows.num_rows:
        return rows
    if table == "trials":
        rank = {status: number for number, status in enumerate(STATUSES)}
        best: dict[str, tuple[int, int]] = {}
        ids, statuses = rows["trial_id"].to_pylist(), rows["status"].to_pylist()
        for index, (trial_id, status) in enumerate(zip(ids, statuses, strict=True)):
            key = (rank[status], -index)
            if trial_id not in best or key < best[trial_id]:
                best[trial_id] = key
        return rows.take(sorted(-index for _, index in best.values()))
    number = np.repeat(np.arange(len(parts)), [part.num_rows for part in parts])
    code = rows["trial_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    last = np.zeros(code.max() + 1, dtype=np.int64)
    np.maximum.at(last, code, number)
    return rows if len(parts) == 1 else rows.filter(pa.array(number == last[code]))
