"""Whether a run writes to a sweep right now: a lock on this machine, otherwise what it recorded.

    <out>/<task>/<name>/.lock      holds the name of the machine that ran the sweep last

Runs of one sweep share the lock; a command that removes results holds it alone. The kernel releases
it when a process ends, however it ends. A bucket has no locks.
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
#: A sweep that has not recorded its end is taken to be running as long after its last write.
RECENT = timedelta(hours=1)

_WAIT_SECONDS = 5.0  # for a command that looks at the lock, or removes little

#: running: a run holds the lock. perhaps: it recorded no end and wrote a short while ago.
Activity = Literal["running", "perhaps", "no"]


@contextmanager
def run_lock(filesystem: pyarrow.fs.FileSystem, path: str) -> Iterator[None]:
    """Hold the lock of the sweep in this folder together with its other runs.

    Raises:
        StoreError: if a command removes its results right now.
    """
    opened = _open(filesystem, f"{path}/{LOCK}", os.O_RDWR | os.O_CREAT)
    try:
        if opened is not None:
            deadline = time.monotonic() + _WAIT_SECONDS
            while not _lock(opened, fcntl.LOCK_SH):
                if time.monotonic() > deadline:
                    raise StoreError(f"{path} is being removed by `prune`; try again after that")
                time.sleep(0.05)
            os.pwrite(opened, f"{socket.gethostname()}\n".encode().ljust(80), 0)
        yield
    finally:
        if opened is not None:
            os.close(opened)


@contextmanager
def prune_lock(filesystem: pyarrow.fs.FileSystem, path: str) -> Iterator[bool]:
    """Keep new runs of the sweep in this folder out; False if one runs already."""
    opened = _open(filesystem, f"{path}/{LOCK}", os.O_RDWR)
    try:
        yield opened is None or _lock(opened, fcntl.LOCK_EX)
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
    """Whether the sweep in this folder runs.

    Args:
        filesystem, path: where the sweep is.
        has_ended: whether its ``sweep.json`` records the end of the last run.
        last_write: when one of its files was last written.
        now: the time to compare with.
    """
    opened = _open(filesystem, f"{path}/{LOCK}", os.O_RDWR)
    if opened is not None:
        try:
            if not _lock(opened, fcntl.LOCK_EX):
                return "running"
            if os.pread(opened, 300, 0).decode(errors="replace").strip() == socket.gethostname():
                return "no"  # it ran on this machine, where the lock would show it
        finally:
            os.close(opened)
    is_recent = last_write is not None and (now or datetime.now(UTC)) - last_write < RECENT
    return "perhaps" if is_recent and not has_ended else "no"


def _open(filesystem: pyarrow.fs.FileSystem, path: str, flags: int) -> int | None:
    """The lock's file; None where there is none, or none that can be opened."""
    if not isinstance(filesystem, pyarrow.fs.LocalFileSystem):
        return None
    try:
        return os.open(path, flags, 0o644)
    except OSError:
        return None


def _lock(opened: int, kind: int) -> bool:
    """Take the lock if nobody's lock forbids it; a filesystem without locks forbids nothing."""
    try:
        fcntl.flock(opened, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
