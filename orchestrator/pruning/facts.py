"""Reads what ``prune`` needs to know about every sweep under a folder."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import pyarrow.fs

from results.storage.filesystem import open_filesystem
from results.storage.folder_files import last_write, list_files
from results.storage.manifest import Manifest
from results.storage.reading import StoredTables, read_sweep
from results.storage.run_lock import LOCK, Activity, activity
from results.storage.schema import TABLES
from results.storage.store import NAME
from results.tables.overview import num_planned
from tasks.contract import StoreError

#: Marks a sweep's folder while it is being removed.
REMOVED = ".removed"

#: All files and folders that a sweep writes, in the order of removal: first ``sweep.json``, without
#: which the folder is not a sweep. A trial's row is removed before its steps and samples.
PARTS = (
    *("sweep.json", *reversed(TABLES), "stages", "weights"),
    *("figures", "logs", "tensorboard", "optuna-journal.log", "looks.json", ".final", "control"),
    *(LOCK, REMOVED),
)


@dataclass(frozen=True)
class SweepFacts:
    """A sweep's folder, or the rest of one after an interrupted removal."""

    filesystem: pyarrow.fs.FileSystem
    path: str
    task: str
    name: str
    manifest: Manifest | None  # None if it is missing or damaged
    files: Sequence[pyarrow.fs.FileInfo]

    @property
    def full(self) -> str:
        """``task/name``."""
        return f"{self.task}/{self.name}"

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of its trials."""
        return StoredTables(self.filesystem, self.path).rows()

    @cached_property
    def last_write(self) -> datetime | None:
        """When the last of its files was written."""
        return last_write(info for info in self.files if info.base_name != LOCK)

    @cached_property
    def activity(self) -> Activity:
        """Whether the sweep is running."""
        has_ended = bool(self.manifest and self.manifest.seconds) or not self.has_manifest_file
        return activity(self.filesystem, self.path, has_ended, self.last_write)

    @property
    def has_manifest_file(self) -> bool:
        """Whether it is a sweep, and not the rest of a removed one."""
        return any(info.path == f"{self.path}/sweep.json" for info in self.files)

    @cached_property
    def is_unfinished(self) -> bool:
        """Whether some of its trials must still run, as far as that is known."""
        if self.manifest is None:
            return False
        counts = Counter(row["status"] for row in self.rows)
        total = num_planned(self.manifest, counts)
        num_ended = counts.total() - counts["interrupted"]
        return bool(counts["interrupted"]) or total is None or num_ended < total

    @cached_property
    def kept_weights(self) -> set[str]:
        """The ids of the trials whose weights are in its folder."""
        folder = f"{self.path}/weights/"
        names = [info.base_name for info in self.files if info.path.startswith(folder)]
        return {n.removesuffix(".safetensors") for n in names if n.endswith(".safetensors")}

    def reuses(self, other: SweepFacts) -> set[str]:
        """Return the ids of trials whose results this sweep reuses from another sweep."""
        return {row["trial_id"] for row in self.rows if row["reused_from"] == other.full}


def read_facts(out: str) -> list[SweepFacts]:
    """Return every sweep under a folder, and the rest of partly removed ones.

    Raises:
        StoreError: if the folder cannot be read.
    """
    filesystem, base = open_filesystem(out)
    found = []
    for task in _folders(filesystem, base):
        for name in _folders(filesystem, f"{base}/{task}"):
            path = f"{base}/{task}/{name}"
            inside = filesystem.get_file_info(pyarrow.fs.FileSelector(path))
            names = {info.base_name for info in inside}
            if "sweep.json" in names or REMOVED in names:
                manifest: Manifest | None = None
                with contextlib.suppress(StoreError):  # a damaged sweep can be removed too
                    manifest = read_sweep(out, task, name).manifest
                files = list_files(filesystem, path)
                found.append(SweepFacts(filesystem, path, task, name, manifest, files))
    return found


def _folders(filesystem: pyarrow.fs.FileSystem, path: str) -> list[str]:
    try:
        infos = filesystem.get_file_info(pyarrow.fs.FileSelector(path, allow_not_found=True))
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error}; use another --out") from None
    names = (i.base_name for i in infos if i.type == pyarrow.fs.FileType.Directory)
    return sorted(name for name in names if NAME.fullmatch(name))
