"""The user's side of control: finds the drivers of a sweep, and sends them commands."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass

import pyarrow.fs

from orchestrator.control.commands import Answer, Command, read_answer, send
from orchestrator.control.drivers import Driver, State, is_removed, read_driver, read_drivers
from results.storage.filesystem import open_filesystem
from results.storage.reading import find_sweeps
from results.tables.overview import Overview

WAIT_SECONDS = 30.0  # for an answer; a step may take longer
POLL_SECONDS = 0.1  # between two looks for an answer on a disk
BUCKET_POLL_SECONDS = 1.0  # the same in a bucket


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningSweep:
    """A sweep and the processes that run it now."""

    filesystem: pyarrow.fs.FileSystem
    path: str
    full_name: str  # task/name
    drivers: list[Driver]

    @property
    def poll_seconds(self) -> float:
        """How long to wait between two looks at its files."""
        is_local = isinstance(self.filesystem, pyarrow.fs.LocalFileSystem)
        return POLL_SECONDS if is_local else BUCKET_POLL_SECONDS


def open_running(root: str, task: str, name: str) -> RunningSweep:
    """Return a sweep with the processes that run it now, which may be none."""
    filesystem, base = open_filesystem(root)
    path = f"{base}/{task}/{name}"
    drivers = [driver for driver in read_drivers(filesystem, path) if driver.is_alive()]
    return RunningSweep(
        filesystem=filesystem, path=path, full_name=f"{task}/{name}", drivers=drivers
    )


def running_sweeps(root: str, task: str | None) -> list[RunningSweep]:
    """Return the sweeps under a root that run now."""
    found = (open_running(root, of, name) for of, name in find_sweeps(root, task))
    return [sweep for sweep in found if sweep.drivers]


def driver_state(root: str, task: str, name: str) -> State | None:
    """Return what the processes that run a sweep do; None if none of them says so.

    If there are several and they differ, the first of running, stopping, pausing and paused.
    """
    states = {driver.state for driver in open_running(root, task, name).drivers}
    order: tuple[State, ...] = ("running", "stopping", "pausing", "paused")
    return next((state for state in order if state in states), None)


def with_driver_state(found: Overview, root: str) -> Overview:
    """Return the line of a sweep, with the state that the process that runs it has written."""
    if not found.is_running:
        return found
    task, _, name = found.name.partition("/")
    return dataclasses.replace(found, state=driver_state(root, task, name) or found.state)


def request(sweep: RunningSweep, driver: Driver, command: Command) -> Answer | None:
    """Send a command to a driver and return its answer; None if it does not answer in time.

    Raises:
        StoreError: if the command cannot be written.
    """
    name = send(sweep.filesystem, sweep.path, driver, command)
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        answer = read_answer(sweep.filesystem, sweep.path, driver, name)
        if answer is not None:
            return answer
        now = read_driver(sweep.filesystem, sweep.path, driver.id)
        if now is None:
            has_ended = is_removed(sweep.filesystem, sweep.path, driver.id)
        else:
            has_ended = not now.is_alive()
        if has_ended:
            # It may have answered just before its end.
            ended = Answer(done=False, message="the sweep has ended")
            return read_answer(sweep.filesystem, sweep.path, driver, name) or ended
        time.sleep(sweep.poll_seconds)
    return None
