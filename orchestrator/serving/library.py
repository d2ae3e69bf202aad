"""The sweeps under a folder, each read again only when its files have changed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow.fs

from results.page.progress import seconds_left
from results.page.sweeps_page import ListedSweep
from results.storage.atomic_write import TEMPORARY
from results.storage.filesystem import open_filesystem
from results.storage.folder_files import last_write, sweep_files
from results.storage.reading import Sweep, find_sweeps, read_sweep
from results.storage.run_lock import LOCK, activity
from results.tables.overview import Overview, damaged_overview, overview_of
from tasks.contract import StoreError

_MAX_KEPT = 64  # texts of pages and charts of one version of a sweep


@dataclass(kw_only=True)
class Held:
    """One version of a sweep: its tables, and what was made of them."""

    version: str
    overview: Overview
    sweep: Sweep | None  # None if it is damaged
    left: float | None  # seconds, of a running sweep
    made: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, key: str, build: Callable[[Sweep], str]) -> str:
        """A text made of the sweep, once for each key.

        Raises:
            StoreError: if the sweep is damaged.
        """
        if self.sweep is None:
            raise StoreError(self.overview.problem)
        with self.lock:  # one request reads the tables, the others wait for it
            if key not in self.made:
                if len(self.made) >= _MAX_KEPT:
                    self.made.clear()
                self.made[key] = build(self.sweep)
            return self.made[key]


class Library:
    """The sweeps under one folder or URI."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._held: dict[tuple[str, str], Held] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._guard = threading.Lock()

    def names(self) -> list[tuple[str, str]]:
        """(task, name) of every sweep."""
        return find_sweeps(self.root)

    def get(self, task: str, name: str) -> Held:
        """The newest version of a sweep.

        Raises:
            StoreError: if there is none.
        """
        key = (task, name)
        if key not in self.names():
            raise StoreError(f"no sweep {name!r} of {task!r} here")
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            files = sweep_files(self.root, task, name)
            version = _version(self.root, task, name, files)
            held = self._held.get(key)
            if held is None or held.version != version:
                held = self._held[key] = _read(self.root, task, name, version, files)
            return held

    def list(self) -> list[ListedSweep]:
        """A line for each sweep."""
        found = [self.get(*each) for each in self.names()]
        return [ListedSweep(overview=one.overview, seconds_left=one.left) for one in found]

    def version(self) -> str:
        """What changes when any sweep does."""
        versions = [self.get(*each).version for each in self.names()]
        return _digest("\n".join(versions))


def _version(root: str, task: str, name: str, files: Sequence[pyarrow.fs.FileInfo]) -> str:
    """What changes when one of the sweep's files does, or when a run of it begins or ends."""
    filesystem, base = open_filesystem(root)
    runs = activity(filesystem, f"{base}/{task}/{name}", False, last_write(files))
    lines = [
        f"{info.path} {info.size} {info.mtime_ns}"
        for info in files
        if not info.path.endswith((f"/{LOCK}", TEMPORARY))
    ]
    return _digest("\n".join([f"{task}/{name} {runs}", *lines]))


def _read(
    root: str, task: str, name: str, version: str, files: Sequence[pyarrow.fs.FileInfo]
) -> Held:
    now = datetime.now(UTC)
    try:
        sweep = read_sweep(root, task, name)
        found = overview_of(sweep, files, now)
    except StoreError as error:
        damaged = damaged_overview(f"{task}/{name}", files, error)
        return Held(version=version, overview=damaged, sweep=None, left=None)
    runs = found.state.startswith("running")
    left = seconds_left(sweep.manifest, sweep.current_rows(), now) if runs else None
    return Held(version=version, overview=found, sweep=sweep, left=left)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
