"""The sweeps under a folder, each read again only when its files have changed."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow.fs

from orchestrator.control.drivers import FOLDER as CONTROL
from orchestrator.control.request import driver_state
from orchestrator.serving.running_trials import find_running
from results.page.progress import seconds_left
from results.page.sweeps_page import ListedSweep
from results.storage.atomic_write import TEMPORARY
from results.storage.filesystem import open_filesystem
from results.storage.folder_files import last_write, sweep_files
from results.storage.reading import Sweep, find_sweeps, read_sweep
from results.storage.run_lock import LOCK, activity
from results.storage.store import NAME
from results.tables.overview import Overview, damaged_overview, overview_of
from tasks.contract import StoreError

_MAX_KEPT = 64  # texts of pages and charts of one version of a sweep
_NUM_LOCKS = 16  # texts of one version that are made at the same time, at most
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
    runs: str  # an ``Activity``, or the state that its process has written
    seconds: float  # that reading it and making its texts took so far
    read_at: float  # seconds of the monotonic clock
    made: dict[str, str] = field(default_factory=dict)
    #: Each text is made with one of these, so their number does not grow with that of the texts.
    locks: Sequence[threading.Lock] = field(
        default_factory=lambda: [threading.Lock() for _ in range(_NUM_LOCKS)]
    )

    @property
    def readable(self) -> Sweep:
        """Its tables.

        Raises:
            StoreError: if the sweep is damaged.
        """
        if self.sweep is None:
            raise StoreError(self.overview.problem)
        return self.sweep

    @property
    def line(self) -> ListedSweep:
        """Its line in the list of sweeps."""
        return ListedSweep(overview=self.overview, seconds_left=self.left)

    def make(self, key: str, build: Callable[[Sweep], str]) -> str:
        """Return a text made of the sweep, once for each key.

        Raises:
            StoreError: if the sweep is damaged.
        """
        sweep = self.readable
        with self.locks[hash(key) % _NUM_LOCKS]:  # requests for one text wait for the first
            found = self.made.get(key)
            if found is None:
                began = time.monotonic()
                if len(self.made) >= _MAX_KEPT:
                    self.made.clear()
                found = self.made[key] = build(sweep)
                self.seconds += time.monotonic() - began
            return found


@dataclass(kw_only=True)
class _Place:
    """A sweep under the root: its newest version, and when its files were listed for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    held: Held | None = None
    listed_at: float = 0.0  # seconds of the monotonic clock
    running: str = ""  # its running trials as JSON
    asked_at: float = -math.inf  # when they were asked for, in the same seconds


class Library:
    """The sweeps under one folder or URI.

    Args:
        root: the folder or URI.
        max_share: of a core's time for reading a sweep again and again while it runs: after a
            second's work on a version, the next one is read after ``1 / max_share`` seconds.
        max_age: seconds for which a listing of files answers further requests, so that several
            tabs that show a sweep cost as many requests to a bucket as one.
    """

    def __init__(self, root: str, max_share: float = 1.0, max_age: float = 0.0) -> None:
        self.root, self._max_share, self._max_age = root, max_share, max_age
        self._places: dict[tuple[str, str], _Place] = {}
        self._guard = threading.Lock()
        self._names: Sequence[tuple[str, str]] = ()
        self._named_at = -math.inf  # seconds of the monotonic clock
        self._name_lock = threading.Lock()

    def all(self) -> list[Held]:
        """Return the newest version of every sweep."""
        with self._name_lock:
            if not self._is_recent(self._named_at):
                self._names, self._named_at = find_sweeps(self.root), time.monotonic()
            names = self._names
        found = []
        for task, name in names:
            with contextlib.suppress(UnknownSweepError):  # it was removed meanwhile
                found.append(self.get(task, name))
        return found

    def get(self, task: str, name: str) -> Held:
        """Return the newest version of a sweep.

        Raises:
            UnknownSweepError: if there is none.
        """
        key = (task, name)
        if not all(map(NAME.fullmatch, key)):
            raise _unknown(key)
        with self._guard:
            place = self._places.setdefault(key, _Place())
        with place.lock:
            if place.held is not None and self._is_recent(place.listed_at):
                return place.held
            filesystem, base = open_filesystem(self.root)
            folder = f"{base}/{task}/{name}"
            files = _results(sweep_files(self.root, task, name), folder)
            if not any(info.path == f"{folder}/sweep.json" for info in files):
                with self._guard:
                    self._places.pop(key, None)
                raise _unknown(key)
            place.listed_at = time.monotonic()
            runs: str = activity(filesystem, folder, False, last_write(files))
            if runs != "no":
                runs = driver_state(self.root, task, name) or runs
            version = _version(f"{task}/{name} {runs}", files)
            held = place.held
            if held is None or (held.version != version and self._may_read(held, runs)):
                held = place.held = _read(self.root, task, name, version, files, runs)
            return held

    def running(self, task: str, name: str) -> str:
        """Return the trials of a sweep that run now as JSON; "" if it does not run.

        Raises:
            UnknownSweepError: if there is no such sweep.
        """
        self.get(task, name)
        with self._guard:
            place = self._places.get((task, name), _Place())
        with place.lock:
            if not self._is_recent(place.asked_at):
                place.running = find_running(self.root, task, name)
                place.asked_at = time.monotonic()
            return place.running

    def _is_recent(self, listed_at: float) -> bool:
        return time.monotonic() < listed_at + self._max_age

    def _may_read(self, held: Held, runs: str) -> bool:
        """Return whether a new version may be read now; always when a run begins or is paused."""
        pause = min(_MAX_PAUSE, held.seconds / self._max_share - held.seconds)
        return held.runs != runs or time.monotonic() >= held.read_at + pause


def combine_versions(found: Sequence[Held], missing: str = "") -> str:
    """Return what changes when any of these sweeps does, or what a page misses."""
    return _digest(" ".join([*(held.version for held in found), missing]))


def _unknown(key: tuple[str, str]) -> UnknownSweepError:
    return UnknownSweepError(f"no sweep {key[1]!r} of {key[0]!r} here")


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
    runs: str,
) -> Held:
    began = time.monotonic()
    now = datetime.now(UTC)
    try:
        sweep: Sweep | None = read_sweep(root, task, name)
        assert sweep is not None
        found = overview_of(sweep, files, now)
        if found.is_running and runs not in ("perhaps", "no"):
            found = dataclasses.replace(found, state=runs)
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
