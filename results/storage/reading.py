"""Sweeps as they were written: found, read, never changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs

from results.statistics.aggregation import MEAN, aggregation
from results.storage.filesystem import open_filesystem, redact
from results.storage.schema import FIXED, VERSION, fill_sweep
from results.storage.store import NAME, check_name, concat, list_parts, read_part, union
from tasks.contract import StoreError

#: What every ``sweep.json`` holds that a table needs.
MANIFEST: dict[str, type] = {
    "task": str,
    "name": str,
    "columns": list,
    "metric": dict,
    "paired": list,
    "tables": list,
    "seeds": list,
    "model": dict,
    "data": dict,
}
_ITEMS = {
    "columns": {"key", "label", "format", "pick"},
    "paired": {"metric", "unit", "value", "where", "at_most"},
    "tables": {"title", "note", "rows"},
    "claims": {"text", "kind", "relation", "margin", "left", "right"},
    "errata": {"text", "evidence", "shown"},
}
_ATTEMPTS = 10  # a reader is overtaken by a compaction once, hardly ever twice


@dataclass
class Sweep:
    """One sweep; a table is read when it is first asked for."""

    filesystem: pyarrow.fs.FileSystem
    path: str
    manifest: dict[str, Any]
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

    def steps_of(self, trial_id: str) -> list[dict[str, Any]]:
        """A trial's steps, in order."""
        if not self.steps.num_rows:
            return []
        rows = self.steps.filter(pc.equal(self.steps["trial_id"], trial_id))
        return sorted(rows.to_pylist(), key=lambda row: row["at"])

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        # A parameter that is newer than every trial is null, as it is where only some lack it.
        blank = dict.fromkeys(FIXED["trials"])
        blank |= {f"param.{name}": None for name in self.manifest.get("params", ())}
        return [{**blank, **row} for row in self.trials.to_pylist()]

    def rows(self) -> list[dict[str, Any]]:
        """The trials as plain rows."""
        return list(self._rows)

    def current_rows(self) -> list[dict[str, Any]]:
        """The trials of the model, data and task version that ``sweep.json`` names."""
        return [row for row in self._rows if is_current(row, self.manifest)]

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


def is_current(row: Mapping[str, Any], manifest: Mapping[str, Any]) -> bool:
    """Whether a trial ran on the model, data and task version that ``sweep.json`` names."""
    return bool(
        row["model_fingerprint"] == manifest["model"]["fingerprint"]
        and row["data_fingerprint"] == manifest["data"]["fingerprint"]
        and manifest.get("version") in (None, row["version"])  # None: written before it was there
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
        StoreError: if there is none, or its manifest is damaged.
    """
    filesystem, base = open_filesystem(root)
    path = f"{base}/{check_name(task)}/{check_name(name)}"
    try:
        with filesystem.open_input_stream(f"{path}/sweep.json") as stream:
            manifest = json.loads(stream.read())
    except FileNotFoundError:
        raise StoreError(f"no sweep {name!r} of {task} under {redact(root)}") from None
    except OSError as error:
        raise StoreError(f"{path}/sweep.json cannot be read: {error}") from None
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from None
    check_manifest(path, manifest)
    return Sweep(filesystem, path, manifest, root=root)


def _damaged(path: str, why: str) -> StoreError:
    return StoreError(
        f"{path}/sweep.json is damaged ({why}); run the sweep again, or move its folder away"
    )


def check_manifest(path: str, manifest: Any) -> None:
    """Refuse a ``sweep.json`` that a table cannot be made from."""
    if not isinstance(manifest, dict):
        raise _damaged(path, "it holds no mapping")
    version = manifest.get("schema", 0)
    if not isinstance(version, int):
        raise _damaged(path, f"its schema is {version!r}")
    if version > VERSION:
        raise StoreError(
            f"{path}/sweep.json has schema {version}, this version reads up to {VERSION}: "
            "update the project"
        )
    check_keys(path, manifest, MANIFEST)
    metric, columns = manifest["metric"], manifest["columns"]
    for key, needed in _ITEMS.items():
        items = manifest.get(key) or []  # what an older version did not write
        if not all(isinstance(item, dict) and needed <= item.keys() for item in items):
            raise _damaged(path, f"its {key!r} are of the wrong type")
    for paired in manifest["paired"]:
        aggregate = aggregate_of(paired)
        if not isinstance(aggregate, str):
            raise _damaged(path, "its 'paired' are of the wrong type")
        if aggregate != MEAN:
            aggregation(aggregate)  # a clear error now, not in the middle of a table
    if f"metric.{metric.get('name')}" not in {column["key"] for column in columns}:
        raise _damaged(path, "none of its columns is its metric")
    if not all("name" in manifest[k] and "fingerprint" in manifest[k] for k in ("model", "data")):
        raise _damaged(path, "its model or data has no name or fingerprint")


def aggregate_of(paired: Mapping[str, Any]) -> Any:
    """How samples form a metric; older sweeps call it ``formula``."""
    return paired.get("aggregate", paired.get("formula", MEAN))


def check_keys(path: str, manifest: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    """Refuse a ``sweep.json`` without these keys.

    Raises:
        StoreError: naming the first that is missing, or of another type.
    """
    for key, kind in kinds.items():
        if not isinstance(manifest.get(key), kind):
            what = "of the wrong type" if key in manifest else "missing"
            raise _damaged(path, f"its {key!r} is {what}")


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
    root: str, task: str, names: Sequence[str] = ()
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Every ended trial of a task under the root: id -> (sweep, row), finished ones first.

    ``names`` are the sweeps to look in; all, if there are none.
    """
    known: dict[str, tuple[str, dict[str, Any]]] = {}
    filesystem, base = open_filesystem(root)
    for _, name in find_sweeps(root, task, names):
        # Not by its manifest: where that is damaged, running the sweep again mends it.
        for row in Sweep(filesystem, f"{base}/{task}/{name}", {}).rows():
            if row["status"] == "interrupted":
                continue  # it is still to run
            held = known.get(row["trial_id"])
            if held is None or (held[1]["status"] != "finished" and row["status"] == "finished"):
                known[row["trial_id"]] = (name, row)
    return known


def copy_trials(root: str, task: str, name: str, trial_ids: Sequence[str]) -> dict[str, pa.Table]:
    """The rows of some trials out of another sweep, marked with where they are from."""
    filesystem, base = open_filesystem(root)
    sweep = Sweep(filesystem, f"{base}/{check_name(task)}/{check_name(name)}", {})
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
