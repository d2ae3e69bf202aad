"""Find out whether a sweep is running, by a lock on this machine or by its files.

    <out>/<task>/<name>/.lock      contains the name of the last machine that ran the sweep

Runs of one sweep share the lock. ``prune`` and ``cancel`` lock it exclusively, because they change
results of a sweep that must not run. The kernel releases the lock when the process ends, even if it
is killed. Buckets have no locks.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Literal

import pyarrow.fs

from tasks.contract import StoreError

LOCK = ".lock"
#: For this time after the last write, a sweep that has not recorded its end may be running.
RECENT = timedelta(hours=1)

_WAIT_SECONDS = 5.0  # how long to wait for another command to release the lock

#: running: a run holds the lock. perhaps: no recorded end, and the last write is recent.
Activity = Literal["running", "perhaps", "no"]


@contextmanager
def run_lock(filesystem: pyarrow.fs.FileSystem, path: str) -> Iterator[None]:
    """Hold the lock of the sweep in this folder, shared with other runs.

    Raises:
        StoreError: if a command is changing results of the sweep.
    """
    opened = _open(filesystem, f"{path}/{LOCK}", os.O_RDWR | os.O_CREAT)
    try:
        if opened is not None:
            deadline = time.monotonic() + _WAIT_SECONDS
            while not try_lock(opened, fcntl.LOCK_SH):
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"`prune` or `cancel` is changing the results in {path}; try again after "
                        "that"
                    )
                time.sleep(0.05)
            os.pwrite(opened, f"{socket.gethostname()}\n".encode().ljust(80), 0)
        yield
    finally:
        if opened is not None:
            os.close(opened)


@contextmanager
def exclusive_lock(filesystem: pyarrow.fs.FileSystem, path: str) -> Iterator[bool]:
    """Lock the sweep in this folder against new runs; yield False if it is running already."""
    opened = _open(filesystem, f"{path}/{LOCK}", os.O_RDWR)
    try:
        yield opened is None or try_lock(opened, fcntl.LOCK_EX)
    finally:
        if opened is not None:
            os.close(opened)


def activity(
    filesystem: pyarrow.fs.FileSystem,
    path: str,
    has_ended: bool,
    last_write: datetime | None,
    now: datetime | None = None,
) -> Activity:
    """Return whether the sweep in this folder is running.

    Args:
        filesystem: the filesystem of the sweep.
        path: the folder of the sweep.
        has_ended: whether its ``sweep.json`` records the end of the last run.
        last_write: the time of the last write to its files.
        now: the current time.
    """
    opened = _open(filesystem, f"{path}/{LOCK}", os.O_RDWR)
    if opened is not None:
        try:
            if not try_lock(opened, fcntl.LOCK_EX):
                return "running"
            if os.pread(opened, 300, 0).decode(errors="replace").strip() == socket.gethostname():
                return "no"  # it ran on this machine, so a running sweep would hold the lock
        finally:
            os.close(opened)
    is_recent = last_write is not None and (now or datetime.now(UTC)) - last_write < RECENT
    return "perhaps" if is_recent and not has_ended else "no"


def _open(filesystem: pyarrow.fs.FileSystem, path: str, flags: int) -> int | None:
    """Open the lock file; None if it does not exist or cannot be opened."""
    if not isinstance(filesystem, pyarrow.fs.LocalFileSystem):
        return None
    try:
        return os.open(path, flags, 0o644)
    except OSError:
        return None


def try_lock(opened: int, kind: int) -> bool:
    """Try to lock an open file. On a filesystem without locks, this always succeeds.

    Args:
        opened: its file descriptor.
        kind: ``fcntl.LOCK_SH`` or ``fcntl.LOCK_EX``.
    """
    try:
        fcntl.flock(opened, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
