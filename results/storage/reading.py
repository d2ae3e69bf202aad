"""Sweeps as they were written: found, read, never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs

from results.storage.filesystem import open_filesystem, redact
from results.storage.manifest import Manifest
from results.storage.schema import FIXED, fill_sweep
from results.storage.store import NAME, check_name, concat, list_parts, read_part, union
from tasks.contract import StoreError

_ATTEMPTS = 10  # a reader is overtaken by a compaction once, hardly ever twice


@dataclass
class StoredTables:
    """The Parquet tables in a sweep's folder; each is read when it is first asked for."""

    filesystem: pyarrow.fs.FileSystem
    path: str
    _: KW_ONLY
    damaged: list[str] = field(default_factory=list)  # parts that could not be read so far
    root: str = ""  # the folder or URI that the sweep is under

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

    def rows(self) -> list[dict[str, Any]]:
        """The trials as plain rows."""
        return list(self._rows)

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        blank = dict.fromkeys([*FIXED["trials"], *self._param_columns()])
        return [{**blank, **row} for row in self.trials.to_pylist()]

    def _param_columns(self) -> list[str]:
        """Columns of parameters that every row has, though no part may hold them."""
        return []

    def _read(self, table: str) -> pa.Table:
        for _ in range(_ATTEMPTS):
            damaged: list[str] = []
            tables: dict[str, pa.Table] = {}
            try:
                for part in list_parts(self.filesystem, f"{self.path}/{table}"):
                    read = read_part(self.filesystem, part)
                    if read is None:
                        damaged.append(part)
                    else:
                        tables[part] = read
            except FileNotFoundError:
                continue  # a driver compacted meanwhile: what vanished is in a newer part
            except OSError as error:
                raise StoreError(f"{self.path}/{table} cannot be read: {error}") from None
            self.damaged += damaged + _drop_misfits(tables)
            whole = list(tables.values())
            rows = concat(whole) if table == "stages" else union(table, whole)
            return fill_sweep(rows, *self.path.rsplit("/", 2)[1:])
        raise StoreError(f"{self.path}/{table} changes faster than it can be read; try again")


@dataclass
class Sweep(StoredTables):
    """One sweep: its tables, and what its ``sweep.json`` says of them."""

    manifest: Manifest

    def read_file(self, name: str) -> bytes | None:
        """A file beside ``sweep.json``; None if there is none.

        Raises:
            OSError: if it cannot be read.
        """
        try:
            with self.filesystem.open_input_stream(f"{self.path}/{name}") as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def current_rows(self) -> list[dict[str, Any]]:
        """The trials of the model, data and task version that ``sweep.json`` names.

        Versions before 0.2 had the paths of model and data in the ids. Of a trial that was run
        again since, under its id of today, only the later row counts.
        """
        current = [row for row in self._rows if is_current(row, self.manifest)]
        params = [name for name in (current[0] if current else ()) if name.startswith("param.")]
        later = {_same_trial(row, params): row for row in current}
        return current if len(later) == len(current) else list(later.values())

    def _param_columns(self) -> list[str]:
        # A parameter that is newer than every trial is null, as it is where only some lack it.
        return [f"param.{name}" for name in self.manifest.params]


def _same_trial(row: Mapping[str, Any], params: Sequence[str]) -> tuple[Any, ...]:
    if row["status"] == "failed":  # it may be a configuration that has no parameters
        return (row["trial_id"],)
    return (row["seed"], *(row[name] for name in params))


def is_current(row: Mapping[str, Any], manifest: Manifest) -> bool:
    """Whether a trial ran on the model, data and task version that ``sweep.json`` names."""
    return bool(
        row["model_fingerprint"] == manifest.model.fingerprint
        and row["data_fingerprint"] == manifest.data.fingerprint
        and manifest.version in (None, row["version"])
    )


def _drop_misfits(parts: dict[str, pa.Table]) -> list[str]:
    """Take out the parts whose columns cannot stand in one table with the earlier ones'."""
    try:
        concat(part.slice(0, 0) for part in parts.values())
        return []
    except (pa.ArrowException, TypeError):
        pass
    misfits: list[str] = []
    known = pa.schema([])
    for path, part in list(parts.items()):
        try:
            both = [known, part.schema.remove_metadata()]
            known = pa.unify_schemas(both, promote_options="permissive")
        except (pa.ArrowException, TypeError):
            misfits.append(path)
            del parts[path]
    return misfits


def read_sweep(root: str, task: str, name: str) -> Sweep:
    """A sweep by its name.

    Raises:
        StoreError: if there is none, or its ``sweep.json`` is damaged.
    """
    filesystem, base = open_filesystem(root)
    path = f"{base}/{check_name(task)}/{check_name(name)}"
    try:
        with filesystem.open_input_stream(f"{path}/sweep.json") as stream:
            text = bytes(stream.read())
    except FileNotFoundError:
        raise StoreError(f"no sweep {name!r} of {task} under {redact(root)}") from None
    except OSError as error:
        raise StoreError(f"{path}/sweep.json cannot be read: {error}") from None
    return Sweep(filesystem, path, Manifest.from_json(text, f"{path}/sweep.json"), root=root)


def find_sweeps(
    root: str, task: str | None = None, names: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """(task, name) of the sweeps under a root, filtered."""
    filesystem, base = open_filesystem(root)
    found = []
    try:
        for folder in _folders(filesystem, base):
            for sweep in _folders(filesystem, f"{base}/{folder}"):
                info = filesystem.get_file_info(f"{base}/{folder}/{sweep}/sweep.json")
                if info.type == pyarrow.fs.FileType.File:
                    found.append((folder, sweep))
    except OSError as error:
        why = redact(str(error)).split(". Detail")[0]
        raise StoreError(f"{redact(root)} cannot be read: {why}; give another --out") from None
    return [(t, n) for t, n in found if (not task or t == task) and (not names or n in names)]


def _folders(filesystem: pyarrow.fs.FileSystem, path: str) -> list[str]:
    selector = pyarrow.fs.FileSelector(path, allow_not_found=True)
    infos = filesystem.get_file_info(selector)
    folders = (i.base_name for i in infos if i.type == pyarrow.fs.FileType.Directory)
    return sorted(name for name in folders if NAME.fullmatch(name))  # others are not ours


def known_trials(
    root: str, task: str, names: Sequence[str] = (), prefer: str = ""
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Every ended trial of a task under the root: id -> (sweep, row), finished ones first.

    ``names`` are the sweeps to look in; all, if there are none. Of equal trials the one in the
    sweep ``prefer`` is taken, then the first by the sweeps' names.
    """
    known: dict[str, tuple[str, dict[str, Any]]] = {}
    filesystem, base = open_filesystem(root)
    found = [name for _, name in find_sweeps(root, task, names)]
    for name in sorted(found, key=lambda name: name != prefer):
        # Without its ``sweep.json``: if that is damaged, running the sweep again replaces it.
        for row in StoredTables(filesystem, f"{base}/{task}/{name}").rows():
            if row["status"] == "interrupted":
                continue  # it is still to run
            held = known.get(row["trial_id"])
            if held is None or (held[1]["status"] != "finished" and row["status"] == "finished"):
                known[row["trial_id"]] = (name, row)
    return known


def copy_trials(
    root: str, task: str, name: str, trial_ids: Sequence[str], *, into: str
) -> dict[str, pa.Table]:
    """The rows of some trials out of another sweep, marked with the sweep that computed them.

    There is no mark where that is ``into``, the sweep that takes them over.
    """
    filesystem, base = open_filesystem(root)
    sweep = StoredTables(filesystem, f"{base}/{check_name(task)}/{check_name(name)}")
    wanted = pa.array(list(trial_ids))
    tables = {"trials": sweep.trials, "steps": sweep.steps, "samples": sweep.samples}
    kept = {
        table: rows.filter(pc.is_in(rows["trial_id"], value_set=wanted))
        for table, rows in tables.items()
        if rows.num_rows
    }
    trials = kept["trials"]
    sources = [source or f"{task}/{name}" for source in trials["reused_from"].to_pylist()]
    origin = [None if source == f"{task}/{into}" else source for source in sources]
    column = trials.schema.get_field_index("reused_from")
    kept["trials"] = trials.set_column(column, "reused_from", pa.array(origin, pa.string()))
    return kept
