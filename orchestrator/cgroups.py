"""The CPUs and the memory that this process may use, from its affinity and its control groups.

Slurm, Kubernetes and Docker limit processes by control groups (cgroups), whose limits
``os.cpu_count()`` and the size of main memory do not show. A limit of any group above the process's
own applies as well. This module imports nothing of this project: ``doctor`` sends it to nodes by
value.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")  # the process's groups, see cgroups(7)


def available_cpus(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> int:
    """Return the number of CPUs that this process may use, at least 1.

    A quota of one and a half CPUs counts as one.
    """
    try:
        allowed = len(os.sched_getaffinity(0))  # also the groups' cpusets
    except AttributeError:  # not Linux
        allowed = os.cpu_count() or 1
    quota = cpu_quota(mount, membership)
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def cpu_quota(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> float | None:
    """Return the CPU time per second of real time that the groups allow, None for no limit."""
    quotas = []
    for folder in _folders("cpu", mount, membership):
        try:
            if (file := folder / "cpu.max").is_file():  # version 2: "150000 100000" or "max 100000"
                quota, period = file.read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text()
                period = (folder / "cpu.cfs_period_us").read_text()
            if float(quota) > 0:  # version 1: -1 for no limit
                quotas.append(float(quota) / float(period))
        except (OSError, ValueError):
            continue  # "max", or a group without this controller
    return min(quotas, default=None)


def installed_memory() -> int | None:
    """Return the bytes of this machine's main memory, None if unknown, as on Windows."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def memory_limit(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> int | None:
    """Return the bytes of memory that the groups allow, None for no limit.

    Version 1 writes no limit as a number larger than any memory: compare with main memory.
    """
    limits = []
    for folder in _folders("memory", mount, membership):
        for name in ("memory.max", "memory.limit_in_bytes"):  # versions 2 and 1
            try:
                limits.append(int((folder / name).read_text()))
            except (OSError, ValueError):
                continue
    return min(limits, default=None)


def _folders(controller: str, mount: Path, membership: Path) -> Iterator[Path]:
    """Yield the folders of the process's group and of the groups above it."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:  # "4:cpu,cpuacct:/a/b", or "0::/a/b" for version 2
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # Version 2 next to version 1 is mounted in a folder of its own.
        names = (controller, controllers) if controllers else ("", "unified")
        group = Path(path.lstrip("/"))
        for root in (mount / name for name in names):
            # In a container, the path may be the host's, and the mount only the container's group.
            yield from (root / parent for parent in (group, *group.parents))
