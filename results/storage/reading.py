"""Find and read stored sweeps, without changing them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs

from results.redaction import redact
from results.storage.filesystem import open_filesystem
from results.storage.manifest import Manifest
from results.storage.schema import FIXED, fill_sweep
from results.storage.store import NAME, check_name, concat, list_parts, read_part, union
from results.storage.whole_file import read_whole
from tasks.contract import StoreError

T = TypeVar("T")

_ATTEMPTS = 10  # a reader must start again if the parts are compacted while it reads


@dataclass
class StoredTables:
    """The Parquet tables in a sweep's folder. Each table is read when it is first used."""

    filesystem: pyarrow.fs.FileSystem
    path: str
    _: KW_ONLY
    damaged: list[str] = field(default_factory=list)  # parts that could not be read
    root: str = ""  # the folder or URI of all sweeps

    @cached_property
    def trials(self) -> pa.Table:
        """The trials, one row each."""
        return self._read("trials")

    @cached_property
    def steps(self) -> pa.Table:
        """The steps of all trials, one row each."""
        return self._read("steps")

    @cached_property
    def samples(self) -> pa.Table:
        """The samples of the last step of every trial, one row each."""
        return self._read("samples")

    @cached_property
    def stages(self) -> pa.Table:
        """The stages, one row for each run that used one."""
        return self._read("stages")

    def steps_of(self, trial_id: str) -> list[dict[str, Any]]:
        """Return the steps of a trial, in order."""
        if not self.steps.num_rows:
            return []
        rows = self.steps.filter(pc.equal(self.steps["trial_id"], trial_id))
        return sorted(rows.to_pylist(), key=lambda row: row["at"])

    def rows(self) -> list[dict[str, Any]]:
        """Return the trials as plain rows."""
        return list(self._rows)

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        empty = dict.fromkeys([*FIXED["trials"], *self._param_columns()])
        return [{**empty, **row} for row in self.trials.to_pylist()]

    def _param_columns(self) -> list[str]:
        """Return the parameter columns of every row, which may be missing in the parts."""
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
                continue  # a driver has compacted the parts, so there is a newer part
            except OSError as error:
                raise StoreError(f"{self.path}/{table} cannot be read: {error}") from None
            self.damaged += damaged + _drop_misfits(tables)
            whole = list(tables.values())
            rows = concat(whole) if table == "stages" else union(table, whole)
            return fill_sweep(rows, *self.path.rsplit("/", 2)[1:])
        raise StoreError(f"{self.path}/{table} changes faster than it can be read; try again")


@dataclass
class Sweep(StoredTables):
    """One sweep: its tables and its ``sweep.json``."""

    manifest: Manifest
    _computed: dict[Hashable, Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def compute_once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Compute a value once per key, and return it.

        The tables of this object do not change after they are read.
        """
        if key not in self._computed:
            self._computed[key] = compute()
        value: T = self._computed[key]
        return value

    def read_file(self, name: str) -> bytes | None:
        """Read a file in the sweep's folder; None if it does not exist.

        Raises:
            OSError: if it cannot be read.
        """
        try:
            return read_whole(self.filesystem, f"{self.path}/{name}")
        except FileNotFoundError:
            return None

    def current_rows(self) -> list[dict[str, Any]]:
        """Return the trials of the model, data and task version that ``sweep.json`` names.

        Versions before 0.2 included the paths of model and data in ids. If such a trial ran again
        and got a new id, only the later row is returned.
        """
        current = [row for row in self._rows if is_current(row, self.manifest)]
        params = [name for name in (current[0] if current else ()) if name.startswith("param.")]
        later = {_same_trial(row, params): row for row in current}
        return current if len(later) == len(current) else list(later.values())

    def current(self, table: pa.Table) -> pa.Table:
        """The rows of trials, steps or samples that belong to the trials of ``current_rows``."""
        if not table.num_rows:
            return table
        ids = pa.array([row["trial_id"] for row in self.current_rows()], pa.string())
        return table.filter(pc.is_in(table["trial_id"], value_set=ids))

    def _param_columns(self) -> list[str]:
        # A parameter that was added after all trials ran is null in every row.
        return [f"param.{name}" for name in self.manifest.params]


def _same_trial(row: Mapping[str, Any], params: Sequence[str]) -> tuple[Any, ...]:
    if row["status"] == "failed":  # an invalid configuration has no parameters
        return (row["trial_id"],)
    return (row["seed"], *(row[name] for name in params))


def is_current(row: Mapping[str, Any], manifest: Manifest) -> bool:
    """Return whether a trial ran on the model, data and task version that ``sweep.json`` names."""
    return bool(
        row["model_fingerprint"] == manifest.model.fingerprint
        and row["data_fingerprint"] == manifest.data.fingerprint
        and manifest.version in (None, row["version"])
    )


def _drop_misfits(parts: dict[str, pa.Table]) -> list[str]:
    """Remove parts whose columns are incompatible with earlier parts, and return their paths."""
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
    """Read a sweep by its name.

    Raises:
        StoreError: if there is no such sweep, or if its ``sweep.json`` is damaged.
    """
    filesystem, base = open_filesystem(root)
    path = f"{base}/{check_name(task)}/{check_name(name)}"
    try:
        text = read_whole(filesystem, f"{path}/sweep.json")
    except FileNotFoundError:
        raise StoreError(f"no sweep {name!r} of {task} under {redact(root)}") from None
    except OSError as error:
        raise StoreError(f"{path}/sweep.json cannot be read: {error}") from None
    return Sweep(filesystem, path, Manifest.from_json(text, f"{path}/sweep.json"), root=root)


def find_sweeps(
    root: str, task: str | None = None, names: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """Return (task, name) of the sweeps under a root, filtered by task and names.

    Raises:
        StoreError: if the root cannot be read.
    """
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
    return sorted(name for name in folders if NAME.fullmatch(name))  # others are not sweeps


def known_trials(
    root: str, task: str, names: Sequence[str] = (), prefer: str = ""
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return every ended trial of a task under the root: id -> (sweep, row).

    ``names`` are the sweeps to search; empty for all. If several sweeps have the same trial, a
    finished one has priority, then one in the sweep ``prefer``, then the first by sweep name.
    """
    known: dict[str, tuple[str, dict[str, Any]]] = {}
    filesystem, base = open_filesystem(root)
    found = [name for _, name in find_sweeps(root, task, names)]
    for name in sorted(found, key=lambda name: name != prefer):
        # Do not read ``sweep.json``: if it is damaged, running the sweep again replaces it.
        for row in StoredTables(filesystem, f"{base}/{task}/{name}").rows():
            if row["status"] == "interrupted":
                continue  # it has to run again
            if row["status"] == "cancelled" and name != prefer:
                continue  # it was cancelled only in that sweep
            found_row = known.get(row["trial_id"])
            if found_row is None or (
                found_row[1]["status"] != "finished" and row["status"] == "finished"
            ):
                known[row["trial_id"]] = (name, row)
    return known


def copy_trials(
    root: str, task: str, name: str, trial_ids: Sequence[str], *, into: str
) -> dict[str, pa.Table]:
    """Read the rows of trials from another sweep, and mark them with the sweep that computed them.

    Rows that the sweep ``into`` computed itself, to which they are copied, get no mark.
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
