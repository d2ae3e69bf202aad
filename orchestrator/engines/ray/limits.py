"""The resources of a Ray instance on this machine. Ray itself sees only limits of a container."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator.cgroups import available_cpus, installed_memory, memory_limit


def local_resources(default_object_store: Callable[[int], int]) -> dict[str, Any]:
    """Return the arguments of ``ray.init`` that keep it within the limits of this process.

    Args:
        default_object_store: Ray's default size of the object store for an amount of memory, in
            bytes.
    """
    resources: dict[str, Any] = {"num_cpus": available_cpus()}
    limit, installed = memory_limit(), installed_memory()
    if limit is not None and installed is not None and limit < installed:
        # Ray's default for this limit: a part of it, but no more than fits into /dev/shm, which
        # is small in containers. Ray refuses to start with a larger number from ``ray.init``.
        object_store = default_object_store(limit)
        resources |= {"object_store_memory": object_store, "_memory": limit - object_store}
    return resources
