"""Write a sweep's folder: ``sweep.json`` and Parquet parts.

    <root>/<task>/<name>/sweep.json
    <root>/<task>/<name>/{trials,steps,samples}/<time>-<kind>-<random>.parquet
    <root>/<task>/<name>/stages/<time>-run-<random>.parquet    the stages that each run used

Each part is written atomically (``atomic_write.py``), the trials table last: a trial exists once
its row exists, and then its steps and samples exist too. Readers take the union of the parts, so
two writers do not interfere.
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
    RANKS,
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
    """The result of one trial: its row, its steps, and the samples of its last step as columns."""

    trial: Mapping[str, Any]
    steps: Sequence[Mapping[str, Any]]
    samples: Mapping[str, Sequence[Any]] | None
    log: str = ""  # the complete log of a failed trial


def check_name(name: str) -> str:
    """Return a sweep's name if it is a valid name of a folder, which cannot lead out of ``--out``.

    Raises:
        StoreError: if the name is invalid.
    """
    if not NAME.fullmatch(name):
        raise StoreError(
            "a name must be up to 100 letters, digits, '.', '_' and '-', but got "
            f"{name[:120]!r}; give another with --name"
        )
    return name


class SweepStore:
    """Writes one sweep. Only the driver uses it."""

    def __init__(
        self,
        root: str,
        task: str,
        name: str,
        params: Mapping[str, str],
        metrics: Sequence[str] = (),
    ) -> None:
        """Create the folders. All parts have ``metrics``: some readers use the first schema."""
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
        """Replace ``sweep.json`` atomically."""
        atomic_write(self.filesystem, f"{self.path}/sweep.json", manifest.to_text().encode())

    def add(self, results: Sequence[TrialResult]) -> None:
        """Write trials durably."""
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
        """Write or replace ``logs/<name>``.

        Raises:
            StoreError: if it cannot be written.
        """
        try:
            self.filesystem.create_dir(f"{self.path}/logs", recursive=True)
        except OSError as error:
            raise StoreError(f"cannot write to {self.path}: {error}") from None
        atomic_write(self.filesystem, f"{self.path}/logs/{name}", text, durable=False)

    def add_tables(self, tables: Mapping[str, pa.Table]) -> None:
        """Write trials durably, from tables that were read from another sweep."""
        name = _part_name("reused")
        for table in TABLES:
            if table in tables and tables[table].num_rows:
                self._write(table, name, tables[table])

    def add_stages(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the stages that one run used, one row each."""
        if rows:
            columns = to_columns(rows)
            self._write("stages", _part_name("run"), to_table("stages", columns, {}))

    def compact(self) -> None:
        """Merge the small parts of each table into one. The process may be killed at any time.

        Readers take the union of parts without duplicates, so old and new parts may coexist.
        """
        for table in TABLES:
            name = _part_name("compacted")  # named before listing, so parts added later are newer
            parts = list_parts(self.filesystem, f"{self.path}/{table}")
            if len(parts) < 2:
                continue
            try:
                read = [read_part(self.filesystem, part) for part in parts]
            except FileNotFoundError:
                continue  # another driver is compacting
            tables = [part for part in read if part is not None]
            if len(tables) < len(parts):
                continue  # keep a damaged part, so that `report` can name it
            self._write(table, name, union(table, tables))
            for part in parts:
                with contextlib.suppress(FileNotFoundError):  # another driver is compacting
                    self.filesystem.delete_file(part)

    def _write(self, table: str, name: str, rows: pa.Table) -> None:
        blob = encode_part(rows, self._task, self._name)
        atomic_write(self.filesystem, f"{self.path}/{table}/{name}.parquet", blob)


def encode_part(rows: pa.Table, task: str, sweep: str) -> bytes:
    """Encode rows as a Parquet part of a sweep. Equal rows give equal bytes."""
    sink = pa.BufferOutputStream()
    rows = with_sweep(rows, task, sweep)  # rows may be copied from another sweep
    rows = rows.replace_schema_metadata({VERSION_KEY: str(VERSION).encode()})
    pq.write_table(rows, sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue().to_pybytes())


def _part_name(what: str) -> str:
    """Return a unique name that sorts by time, so that later parts replace earlier ones."""
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
    """Return the complete parts of a table's folder, without files of a killed writer."""
    selector = pyarrow.fs.FileSelector(folder, allow_not_found=True)
    found = filesystem.get_file_info(selector)
    return sorted(info.path for info in found if info.path.endswith(".parquet"))


def read_part(filesystem: pyarrow.fs.FileSystem, path: str) -> pa.Table | None:
    """Read a part; None if it is damaged or not a part.

    Raises:
        StoreError: if it has a newer schema.
        FileNotFoundError: if it has been compacted since it was listed.
    """
    try:
        with filesystem.open_input_file(path) as file:
            return decode_part(file, path)
    except FileNotFoundError:
        raise
    except OSError:
        return None


def decode_part(file: Any, path: str) -> pa.Table | None:
    """Read a part from an open file, as ``read_part`` does. The folder of ``path`` is its table."""
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
    """Concatenate parts; columns that a part lacks are null."""
    nonempty = [table for table in tables if table.num_columns]
    if not nonempty:
        return pa.table({})
    return pa.concat_tables(nonempty, promote_options="permissive")


def union(table: str, parts: Sequence[pa.Table]) -> pa.Table:
    """Merge parts so that each trial comes from one part, even if old and compacted parts coexist.

    Of several rows of a trial, that with the lowest of ``RANKS`` counts, then the latest. The steps
    and samples of a trial are all rows of the last part that has any.
    """
    parts = [part for part in parts if part.num_rows]
    rows = concat(parts)
    if not rows.num_rows:
        return rows
    if table == "trials":
        best: dict[str, tuple[int, int]] = {}
        ids, statuses = rows["trial_id"].to_pylist(), rows["status"].to_pylist()
        for index, (trial_id, status) in enumerate(zip(ids, statuses, strict=True)):
            key = (RANKS[status], -index)
            if trial_id not in best or key < best[trial_id]:
                best[trial_id] = key
        return rows.take(sorted(-index for _, index in best.values()))
    number = np.repeat(np.arange(len(parts)), [part.num_rows for part in parts])
    code = rows["trial_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    last = np.zeros(code.max() + 1, dtype=np.int64)
    np.maximum.at(last, code, number)
    return rows if len(parts) == 1 else rows.filter(pa.array(number == last[code]))
