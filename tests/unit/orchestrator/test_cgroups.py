"""Limits of CPUs and memory, from a tree of control groups on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from orchestrator import cgroups, hardware
from orchestrator.cgroups import available_cpus, cpu_quota, memory_limit
from orchestrator.execution import worker_process

JOB = "system.slice/slurmstepd.scope/job_7/step_batch"
UNLIMITED = 2**63 - 4096  # how version 1 writes it


@pytest.fixture(autouse=True)
def _eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


def tree(root: Path, membership: str, files: Mapping[str, object]) -> tuple[Path, Path]:
    """Write the process's membership and the files of its groups."""
    mount, groups = root / "cgroup", root / "membership"
    groups.write_text(membership)
    mount.mkdir()
    for name, content in files.items():
        (mount / name).parent.mkdir(parents=True, exist_ok=True)
        (mount / name).write_text(f"{content}\n")
    return mount, groups


def test_version_2_at_the_process_own_group(tmp_path: Path) -> None:
    files = {f"{JOB}/cpu.max": "250000 100000", f"{JOB}/memory.max": 4 * 2**30}
    where = tree(tmp_path, f"0::/{JOB}\n", files)
    assert cpu_quota(*where) == 2.5
    assert available_cpus(*where) == 2
    assert memory_limit(*where) == 4 * 2**30


def test_the_smallest_limit_of_the_groups_above_counts(tmp_path: Path) -> None:
    above = "system.slice/slurmstepd.scope/job_7"
    files = {
        "cpu.max": "700000 100000",
        f"{above}/cpu.max": "300000 100000",
        f"{JOB}/cpu.max": "max 100000",
        f"{above}/memory.max": 2**30,
        f"{JOB}/memory.max": "max",
    }
    where = tree(tmp_path, f"0::/{JOB}\n", files)
    assert available_cpus(*where) == 3
    assert memory_limit(*where) == 2**30


def test_a_container_sees_its_own_group_at_the_mount(tmp_path: Path) -> None:
    files = {"cpu.max": "50000 100000", "memory.max": 2**31}
    where = tree(tmp_path, "0::/docker/0123abcd\n", files)  # a path of the host
    assert available_cpus(*where) == 1
    assert memory_limit(*where) == 2**31


@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
def test_version_1(tmp_path: Path, folder: str) -> None:
    files = {
        f"{folder}/slurm/job_7/cpu.cfs_quota_us": 400000,
        f"{folder}/slurm/job_7/cpu.cfs_period_us": 100000,
        f"{folder}/slurm/cpu.cfs_quota_us": -1,
        f"{folder}/slurm/cpu.cfs_period_us": 100000,
        "memory/slurm/job_7/memory.limit_in_bytes": 3 * 2**30,
        "memory/memory.limit_in_bytes": UNLIMITED,
    }
    membership = "9:memory:/slurm/job_7\n4:cpu,cpuacct:/slurm/job_7\n1:name=systemd:/\n"
    where = tree(tmp_path, membership, files)
    assert available_cpus(*where) == 4
    assert memory_limit(*where) == 3 * 2**30


def test_version_2_next_to_version_1(tmp_path: Path) -> None:
    membership = "3:memory:/a\n0::/a\n"
    files = {"unified/a/cpu.max": "200000 100000", "memory/a/memory.limit_in_bytes": 2**30}
    where = tree(tmp_path, membership, files)
    assert available_cpus(*where) == 2
    assert memory_limit(*where) == 2**30


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        ("0::/\n", {"cpu.max": "max 100000", "memory.max": "max"}),
        ("0::/\n", {}),
        ("", {"cpu.max": "100000 100000", "memory.max": 1}),  # in no group
    ],
)
def test_without_limits_the_affinity_counts(
    tmp_path: Path, membership: str, files: dict[str, str]
) -> None:
    where = tree(tmp_path, membership, files)
    assert cpu_quota(*where) is None
    assert memory_limit(*where) is None
    assert available_cpus(*where) == 8


def test_a_quota_above_the_affinity_changes_nothing(tmp_path: Path) -> None:
    where = tree(tmp_path, "0::/\n", {"cpu.max": "1600000 100000"})
    assert available_cpus(*where) == 8


def test_systems_without_control_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    where = tmp_path / "none", tmp_path / "membership"
    assert available_cpus(*where) == os.cpu_count()
    assert memory_limit(*where) is None


# --- who uses them --------------------------------------------------------------------------------


def test_main_memory_is_no_larger_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "memory_limit", lambda: 2**20)
    assert hardware.main_memory() == 2**20
    monkeypatch.setattr(hardware, "memory_limit", lambda: UNLIMITED)
    assert hardware.main_memory() == cgroups.installed_memory()


def test_threads_are_limited_unless_the_user_set_them(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        monkeypatch.setattr(os, "cpu_count", lambda: 16)
        monkeypatch.setattr(worker_process, "available_cpus", lambda: 2)
        monkeypatch.setenv("OMP_NUM_THREADS", "4")
        worker_process.limit_threads()
        assert torch.get_num_threads() == 4
        monkeypatch.delenv("OMP_NUM_THREADS")
        worker_process.limit_threads()
        assert torch.get_num_threads() == 2
        monkeypatch.setattr(worker_process, "available_cpus", lambda: 8)
        worker_process.limit_threads()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
