"""Whether a process on this machine still runs, and is not another one that got its id."""

from __future__ import annotations

import os


def process_start(pid: int) -> str | None:
    """Return what distinguishes a process from later ones with its id; None if that is unknown.

    It is the start in clock ticks since the machine started, and the id of that start: they are
    exact even if the clock is set. There is no such file on macOS.
    """
    fields = _stat(pid)
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
            return f"{file.read().strip()}/{int(fields[19])}"  # field 22, "starttime"
    except (OSError, ValueError, IndexError):
        return None


def is_process(pid: int, start: str | None) -> bool:
    """Return whether a process runs on this machine.

    Args:
        pid: its id.
        start: what ``process_start`` returned for it. With None, any process with the id counts.
    """
    if pid <= 0:  # a group of processes
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        pass
    if _stat(pid)[:1] == ["Z"]:  # it has ended, but its parent has not asked for the exit code
        return False
    return start is None or process_start(pid) in (start, None)


def _stat(pid: int) -> list[str]:
    """Return what Linux knows about a process, from field 3, its state; empty if unknown."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []
