"""The lock of the queue, which one process at a time holds to run it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from results.storage.run_lock import try_lock

LOCK = ".lock"

_POLL_SECONDS = 0.01


@contextmanager
def lock_to_run(folder: Path) -> Iterator[bool]:
    """Lock the queue in a folder; yield False if another process runs it."""
    with _open(folder) as opened:
        yield opened is None or _lock(opened)


def is_locked(folder: Path) -> bool:
    """Return whether a process runs the queue in a folder, without being taken for one."""
    with _open(folder) as opened:
        return opened is not None and not try_lock(opened, fcntl.LOCK_SH)


@contextmanager
def _open(folder: Path) -> Iterator[int | None]:
    """Open the file of the lock; None if there is no folder."""
    if not folder.is_dir():
        yield None
        return
    opened = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield opened
    finally:
        os.close(opened)


def _lock(opened: int) -> bool:
    while not try_lock(opened, fcntl.LOCK_EX):
        if not try_lock(opened, fcntl.LOCK_SH):
            return False  # another process runs the queue
        fcntl.flock(opened, fcntl.LOCK_UN)
        time.sleep(_POLL_SECONDS)  # another process only looks whether the queue runs
    return True
