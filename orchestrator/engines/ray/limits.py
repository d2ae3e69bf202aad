"""The resources of a Ray instance on this machine. Ray itself sees only limits of a container."""

from __future__ import annotations

from typing import Any

from orchestrator.cgroups import available_cpus, installed_memory, memory_limit

OBJECT_STORE_FRACTION = 0.3  # of the memory limit, as by default in Ray


def local_resources() -> dict[str, Any]:
    """Return the arguments of ``ray.init`` that keep it within the limits of this process."""
    resources: dict[str, Any] = {"num_cpus": available_cpus()}
    limit, installed = memory_limit(), installed_memory()
    if limit is not None and installed is not None and limit < installed:
        object_store = int(OBJECT_STORE_FRACTION * limit)
        resources |= {"object_store_memory": object_store, "_memory": limit - object_store}
    return resources
