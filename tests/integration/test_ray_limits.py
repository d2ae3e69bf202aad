"""What Ray on this machine gets, from the limits of the control groups."""

from __future__ import annotations

import sys

import pytest
import ray._private.utils as ray_utils

import orchestrator.engines.ray.limits as ray_limits


def test_ray_on_this_machine_gets_no_more_than_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_limits, "available_cpus", lambda: 3)
    monkeypatch.setattr(ray_limits, "memory_limit", lambda: 2**62)
    assert ray_limits.local_resources(ray_utils.resolve_object_store_memory) == {"num_cpus": 3}
    monkeypatch.setattr(ray_limits, "memory_limit", lambda: 10 * 2**20)
    made = ray_limits.local_resources(ray_utils.resolve_object_store_memory)
    assert made["object_store_memory"] + made["_memory"] == 10 * 2**20


def test_ray_in_a_container_stores_what_fits_into_its_shared_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ray_utils, "get_shared_memory_bytes", lambda: 64 * 2**20)  # of Docker
    monkeypatch.setattr(ray_limits, "installed_memory", lambda: 256 * 10**9)
    monkeypatch.setattr(ray_limits, "memory_limit", lambda: 64 * 10**9)
    made = ray_limits.local_resources(ray_utils.resolve_object_store_memory)
    # The most that Ray puts on disk without being asked to (REQUIRE_SHM_SIZE_THRESHOLD).
    assert (made["object_store_memory"], made["_memory"]) == (10 * 10**9, 54 * 10**9)
