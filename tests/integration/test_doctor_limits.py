"""What ``doctor`` says about limits of CPUs and memory, on the driver and on nodes."""

from __future__ import annotations

import os

import pytest

from orchestrator.doctor import driver
from orchestrator.doctor.cluster import check_limits
from orchestrator.doctor.node_probe import limits


def test_limits_of_the_driver_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "installed_memory", lambda: 256 * 10**9)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    (found,) = driver.check_limits({"cpus": 4, "memory": 8 * 10**9})
    assert found.verdict == "ok"
    assert found.text == "this process may use 4 of 64 CPUs and 8.0 of 256.0 GB memory"
    assert driver.check_limits({"cpus": None, "memory": None}) == []


def test_a_node_where_ray_counts_more_than_its_limits() -> None:
    counted = {"CPU": 64.0, "memory": 200e9}
    cpus, memory = check_limits("node a", counted, {"cpus": 4, "memory": 8 * 10**9})
    assert (cpus.verdict, memory.verdict) == ("warning", "warning")
    assert cpus.text == "Ray counts 64 CPUs, but a process there may use 4"
    assert cpus.fix.endswith("--num-cpus=4")
    assert "8.0 GB" in memory.text
    assert memory.fix.endswith("--memory=5600000000")


@pytest.mark.parametrize("counted", [{"CPU": 4.0, "memory": 5e9}, {}])
def test_a_node_within_its_limits(counted: dict[str, float]) -> None:
    assert check_limits("node a", counted, {"cpus": 4, "memory": 8 * 10**9}) == []
    assert check_limits("node a", {"CPU": 1000.0}, {"cpus": None, "memory": None}) == []


def test_a_process_with_all_cpus_has_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.doctor import node_probe

    monkeypatch.setattr(node_probe, "available_cpus", os.cpu_count)
    monkeypatch.setattr(node_probe, "memory_limit", lambda: 2**62)
    assert limits() == {"cpus": None, "memory": None}
    monkeypatch.setattr(node_probe, "memory_limit", lambda: 2**20)
    assert limits()["memory"] == 2**20
