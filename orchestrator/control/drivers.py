"""``driver.json``: which process runs a sweep, and how far it is."""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

import pyarrow.fs

from orchestrator.control.json_files import read_printable, write_json
from orchestrator.control.processes import is_process, process_start
from tasks.contract import StoreError

FOLDER = "control"
FILE = "driver.json"
#: Without a new ``driver.json`` for this time, a driver on another machine counts as lost.
LOST = timedelta(seconds=60)
#: What a driver does.
State = Literal["running", "pausing", "paused", "stopping", "ended"]
#: Seconds between two versions of ``driver.json`` of which only the time differs.
HEARTBEAT = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningTrial:
    """A trial that was handed to the engine."""

    trial_id: str
    parameters: str  # those that differ within the sweep
    step: str  # such as ``epoch 3/10``; empty before the first
    metrics: str  # of the last step
    value: float | None = None  # of the main metric at the last step that measured it
    curve: tuple[tuple[float, float], ...] = ()  # the main metric by step, thinned out
    is_waiting: bool  # for shared stages or a worker


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a sweep is."""

    counts: Mapping[str, int] = field(default_factory=dict)  # ended trials by status
    total: int = 0  # trials, including earlier ones
    share: float = 0.0  # completed part of all work, 0 to 1
    left: str = ""  # estimated time until the end
    phase: str = ""  # what happens before the first trial
    stages: tuple[str, ...] = ()  # shared stages that are being computed
    metric: str = ""  # label of the main metric
    maximize: bool = True  # whether a higher main metric is better
    step_unit: str = ""  # what the steps of a trial are, such as ``epoch``
    best: str = ""  # metric, value and parameters of the best trial
    num_workers: int = 1
    running: tuple[RunningTrial, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Driver:
    """A process that runs a sweep."""

    id: str
    sweep: str  # task/name
    host: str
    pid: int
    process_start: str | None = None  # tells it from a later process with its id
    since: str  # ISO 8601, in UTC
    engine: str  # ray or local
    log: str  # path of the log of its run
    state: State = "running"
    updated: str  # time of this version of the file: ISO 8601, in UTC
    progress: Progress = field(default_factory=Progress)

    def describe(self) -> str:
        """Return who runs it, as in ``pid 123 on host since 2026-01-01 12:00:00``."""
        return f"pid {self.pid} on {self.host} since {_local(self.since)}"

    def last_seen(self) -> str:
        """Return the local time of the last sign of life."""
        return _local(self.updated)

    def is_elsewhere(self) -> bool:
        """Return whether another machine runs it, or was running it when it was last seen."""
        return self.state != "ended" and self.host != socket.gethostname()

    def is_alive(self, now: datetime | None = None) -> bool:
        """Return whether the process still runs, as far as this machine can know."""
        if self.state == "ended":
            return False
        if self.host == socket.gethostname():
            return is_process(self.pid, self.process_start)
        return (now or datetime.now(UTC)) - datetime.fromisoformat(self.updated) < LOST


def _local(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M:%S}"


def new_driver(sweep: str, engine: str, log: str) -> Driver:
    """Return the description of this process as the driver of a sweep."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Driver(
        id=uuid.uuid4().hex[:12],
        sweep=sweep,
        host=socket.gethostname(),
        pid=os.getpid(),
        process_start=process_start(os.getpid()),
        since=now,
        updated=now,
        engine=engine,
        log=log,
    )


def write_driver(filesystem: pyarrow.fs.FileSystem, sweep_path: str, driver: Driver) -> None:
    """Write ``driver.json`` atomically, and create the driver's folder.

    Raises:
        StoreError: if it cannot be written.
    """
    folder = f"{sweep_path}/{FOLDER}/{driver.id}"
    try:
        filesystem.create_dir(folder, recursive=True)
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error}") from None
    write_json(filesystem, f"{folder}/{FILE}", driver)


def read_drivers(filesystem: pyarrow.fs.FileSystem, sweep_path: str) -> list[Driver]:
    """Return the drivers of a sweep, also those that have ended, by the time of their start."""
    selector = pyarrow.fs.FileSelector(f"{sweep_path}/{FOLDER}", allow_not_found=True)
    found: list[Driver] = []
    try:
        infos = filesystem.get_file_info(selector)
    except OSError:  # a bucket that does not answer
        return found
    for info in infos:
        if info.type == pyarrow.fs.FileType.Directory:
            driver = read_driver(filesystem, sweep_path, info.base_name)
            found += [driver] if driver is not None else []
    return sorted(found, key=lambda driver: driver.since)


def read_driver(
    filesystem: pyarrow.fs.FileSystem, sweep_path: str, driver_id: str
) -> Driver | None:
    """Return a driver of a sweep; None if it does not exist, or its file cannot be read."""
    driver = read_printable(filesystem, f"{sweep_path}/{FOLDER}/{driver_id}/{FILE}", Driver)
    if driver is None or driver.id != driver_id:  # its id is the name of a folder
        return None
    try:
        times = [datetime.fromisoformat(each) for each in (driver.since, driver.updated)]
    except ValueError:
        return None
    return driver if all(time.tzinfo for time in times) else None


def is_removed(filesystem: pyarrow.fs.FileSystem, sweep_path: str, driver_id: str) -> bool:
    """Return whether a driver has no file anymore; False if it cannot be read now."""
    try:
        filesystem.open_input_stream(f"{sweep_path}/{FOLDER}/{driver_id}/{FILE}").close()
    except FileNotFoundError:
        return True
    except OSError:  # such as a bucket that does not answer
        pass
    return False


def remove_ended(filesystem: pyarrow.fs.FileSystem, sweep_path: str) -> None:
    """Delete the folders of drivers that have ended or were killed."""
    for driver in read_drivers(filesystem, sweep_path):
        if not driver.is_alive():
            with contextlib.suppress(OSError):  # another driver deletes it too
                filesystem.delete_dir(f"{sweep_path}/{FOLDER}/{driver.id}")
