"""Sweeps as they were written: found, read, never changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs

from results.store import check_name, concat, list_parts, open_root, read_part, union
from tasks.contract import StoreError

_ATTEMPTS = 10  # a reader is overtaken by a compaction once, hardly ever twice


@dataclass
class Sweep:
    """One sweep; a table is read when it is first asked for."""

    filesystem: pyarrow.fs.FileSystem
    path: str
    manifest: dict[str, Any]
    damaged: list[str] = field(default_factory=list)  # parts that could not be read so far

    @cached_property
    def trials(self) -> pa.Table:
        """One row a trial, each once."""
        return self._read("trials")

    @cached_property
    def steps(self) -> pa.Table:
        """One row a trial and step, each once."""
        return self._read("steps")

    @cached_property
    def samples(self) -> pa.Table:
        """The samples of every trial's last step, each once."""
        return self._read("samples")

    @cached_property
    def stages(self) -> pa.Table:
        """The shared work, one row a run and stage."""
        return self._read("stages")

    def steps_of(self, trial_id: str) -> list[dict[str, Any]]:
        """A trial's steps, in order."""
        if not self.steps.num_rows:
            return []
        rows = self.steps.filter(pc.equal(self.steps["trial_id"], trial_id))
        return sorted(rows.to_pylist(), key=lambda row: row["at"])

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        return list(self.trials.to_pylist())

    def rows(self) -> list[dict[str, Any]]:
        """The trials as plain rows."""
        return list(self._rows)

    def _read(self, table: str) -> pa.Table:
        for _ in range(_ATTEMPTS):
            damaged, tables = [], []
            try:
                for part in list_parts(self.filesystem, f"{self.path}/{table}"):
                    read = read_part(self.filesystem, part)
                    if read is None:
                        damaged.append(part)
                    else:
                        tables.append(read)
            except FileNotFoundError:
                continue  # a driver compacted meanwhile: what vanished is in a newer part
            self.damaged += damaged
            return concat(tables) if table == "stages" else union(table, tables)
        raise StoreError(f"{self.path}/{table} changes faster than it can be read; try again")


def read_sweep(root: str, task: str, name: str) -> Sweep:
    """A sweep by its name.

    Raises:
        StoreError: if there is none, or its manifest is damaged.
    """
    filesystem, base = open_root(root)
    path = f"{base}/{check_name(task)}/{check_name(name)}"
    try:
        with filesystem.open_input_stream(f"{path}/sweep.json") as stream:
            manifest = json.loads(stream.read())
    except FileNotFoundError:
        raise StoreError(f"no sweep {name!r} of {task} under {root}") from None
    except ValueError as error:
        raise StoreError(f"{path}/sweep.json is damaged ({error}); run the sweep again") from None
    return Sweep(filesystem, path, manifest)


def find_sweeps(
    root: str, task: str | None = None, names: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """(task, name) of the sweeps under a root, filtered."""
    filesystem, base = open_root(root)
    found = []
    for folder in _folders(filesystem, base):
        for sweep in _folders(filesystem, f"{base}/{folder}"):
            info = filesystem.get_file_info(f"{base}/{folder}/{sweep}/sweep.json")
            if info.type == pyarrow.fs.FileType.File:
                found.append((folder, sweep))
    return [(t, n) for t, n in found if (not task or t == task) and (not names or n in names)]


def _folders(filesystem: pyarrow.fs.FileSystem, path: str) -> list[str]:
    selector = pyarrow.fs.FileSelector(path, allow_not_found=True)
    infos = filesystem.get_file_info(selector)
    return sorted(i.base_name for i in infos if i.type == pyarrow.fs.FileType.Directory)


def known_trials(root: str, task: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Every ended trial of a task under the root: id -> (sweep, row), finished ones first."""
    known: dict[str, tuple[str, dict[str, Any]]] = {}
    for _, name in find_sweeps(root, task):
        for row in read_sweep(root, task, name).rows():
            held = known.get(row["trial_id"])
            if held is None or (held[1]["status"] != "finished" and row["status"] == "finished"):
                known[row["trial_id"]] = (name, row)
    return known


def copy_trials(root: str, task: str, name: str, trial_ids: Sequence[str]) -> dict[str, pa.Table]:
    """The rows of some trials out of another sweep, marked with where they are from."""
    sweep = read_sweep(root, task, name)
    wanted = pa.array(list(trial_ids))
    tables = {"trials": sweep.trials, "steps": sweep.steps, "samples": sweep.samples}
    kept = {
        table: rows.filter(pc.is_in(rows["trial_id"], value_set=wanted))
        for table, rows in tables.items()
        if rows.num_rows
    }
    trials = kept["trials"]
    origin = [source or f"{task}/{name}" for source in trials["reused_from"].to_pylist()]
    column = trials.schema.get_field_index("reused_from")
    kept["trials"] = trials.set_column(column, "reused_from", pa.array(origin, pa.string()))
    return kept
