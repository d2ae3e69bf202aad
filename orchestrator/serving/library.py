"""The sweeps under a folder, each read again only when its files have changed."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow.fs

from orchestrator.control.drivers import FOLDER as CONTROL
from results.page.progress import seconds_left
from results.page.sweeps_page import ListedSweep
from results.storage.atomic_write import TEMPORARY
from results.storage.filesystem import open_filesystem
from results.storage.folder_files import last_write, sweep_files
from results.storage.reading import Sweep, find_sweeps, read_sweep
from results.storage.run_lock import LOCK, Activity, activity
from results.storage.store import NAME
from results.tables.overview import Overview, damaged_overview, overview_of
from tasks.contract import StoreError

_MAX_KEPT = 64  # texts of pages and charts of one version of a sweep
_MAX_PAUSE = 60.0  # seconds until a new version of a running sweep is read


class UnknownSweepError(StoreError):
    """There is no sweep of this name."""


@dataclass(kw_only=True)
class Held:
    """One version of a sweep: its tables, and what was made of them."""

    version: str
    overview: Overview
    sweep: Sweep | None  # None if it is damaged
    left: float | None  # seconds, of a running sweep
    runs: Activity
    seconds: float  # that reading it and making its texts took so far
    read_at: float  # seconds of the monotonic clock
    made: dict[str, str] = field(default_factory=dict)
    locks: dict[str, threading.Lock] = field(default_factory=dict)

    @property
    def line(self) -> ListedSweep:
        """Its line in the list of sweeps."""
        return ListedSweep(overview=self.overview, seconds_left=self.left)

    def make(self, key: str, build: Callable[[Sweep], str]) -> str:
        """Return a text made of the sweep, once for each key.

        Raises:
            StoreError: if the sweep is damaged.
        """
        if self.sweep is None:
            raise StoreError(self.overview.problem)
        with self.locks.setdefault(key, threading.Lock()):  # the others wait for one request
            found = self.made.get(key)
            if found is None:
                began = time.monotonic()
                if len(self.made) >= _MAX_KEPT:
                    self.made.clear()
                found = self.made[key] = build(self.sweep)
                self.seconds += time.monotonic() - began
            return found


class Library:
    """The sweeps under one folder or URI.

    Args:
        root: the folder or URI.
        max_share: of a core's time for reading a sweep again and again while it runs: after a
            second's work on a version, the next one is read after ``1 / max_share`` seconds.
    """

    def __init__(self, root: str, max_share: float = 1.0) -> None:
        self.root, self._max_share = root, max_share
        self._held: dict[tuple[str, str], Held] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._guard = threading.Lock()

    def all(self) -> list[Held]:
        """Return the newest version of every sweep."""
        found = []
        for task, name in find_sweeps(self.root):
            with contextlib.suppress(UnknownSweepError):  # it was removed meanwhile
                found.append(self.get(task, name))
        return found

    def get(self, task: str, name: str) -> Held:
        """Return the newest version of a sweep.

        Raises:
            UnknownSweepError: if there is none.
        """
        key = (task, name)
        if not _exists(self.root, task, name):
            raise UnknownSweepError(f"no sweep {name!r} of {task!r} here")
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            filesystem, base = open_filesystem(self.root)
            path = f"{base}/{task}/{name}"
            files = _results(sweep_files(self.root, task, name), path)
            runs = activity(filesystem, path, False, last_write(files))
            version = _version(f"{task}/{name} {runs}", files)
            held = self._held.get(key)
            if held is None or (held.version != version and self._may_read(held, runs)):
                held = self._held[key] = _read(self.root, task, name, version, files, runs)
            return held

    def _may_read(self, held: Held, runs: Activity) -> bool:
        """Return whether a new version may be read now; always when a run begins or ends."""
        pause = min(_MAX_PAUSE, held.seconds / self._max_share - held.seconds)
        return held.runs != runs or time.monotonic() >= held.read_at + pause


def combine_versions(found: Sequence[Held]) -> str:
    """Return what changes when any of these sweeps does."""
    return _digest(" ".join(held.version for held in found))


def _exists(root: str, task: str, name: str) -> bool:
    if not all(NAME.fullmatch(part) for part in (task, name)):
        return False
    filesystem, base = open_filesystem(root)
    return bool(filesystem.get_file_info(f"{base}/{task}/{name}/sweep.json").is_file)


def _results(files: Sequence[pyarrow.fs.FileInfo], path: str) -> list[pyarrow.fs.FileInfo]:
    """Return the files that pages show: not those of ``control``, which change every second."""
    return [info for info in files if not info.path.startswith(f"{path}/{CONTROL}/")]


def _version(head: str, files: Sequence[pyarrow.fs.FileInfo]) -> str:
    """Return what changes when ``head`` or one of a sweep's files does."""
    lines = [
        f"{info.path} {info.size} {info.mtime_ns}"
        for info in files
        if not info.path.endswith((f"/{LOCK}", TEMPORARY))
    ]
    return _digest("\n".join([head, *lines]))


def _read(
    root: str,
    task: str,
    name: str,
    version: str,
    files: Sequence[pyarrow.fs.FileInfo],
    runs: Activity,
) -> Held:
    began = time.monotonic()
    now = datetime.now(UTC)
    try:
        sweep: Sweep | None = read_sweep(root, task, name)
        assert sweep is not None
        found = overview_of(sweep, files, now)
        is_running = found.state.startswith("running")
        left = seconds_left(sweep.manifest, sweep.current_rows(), now) if is_running else None
    except StoreError as error:
        sweep, found, left = None, damaged_overview(f"{task}/{name}", files, error), None
    return Held(
        version=version,
        overview=found,
        sweep=sweep,
        left=left,
        runs=runs,
        seconds=time.monotonic() - began,
        read_at=time.monotonic(),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
