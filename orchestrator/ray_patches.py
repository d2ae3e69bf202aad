"""One mend of Ray Tune, by its private parts; ``tests/test_hard_ends.py`` fails if they move.

Ray's memory monitor kills the worker that takes too much on a node which is nearly full, and then
raises OutOfMemoryError, which Tune (2.60) takes for an unknown error that ends the whole run. A
slot killed so is a lost actor like any other.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError


class Killed:
    """Why the actor died whose death Tune is hearing of."""

    for_memory: ClassVar[bool] = False


def count_memory_kills_as_lost() -> None:
    """Hand Tune an actor's error where it would meet an unknown one."""
    original = RayActorManager._actor_task_failed
    if getattr(original, "mended", False):
        return

    def failed(self: Any, tracked_actor_task: Any, exception: Exception) -> None:
        Killed.for_memory = isinstance(exception, OutOfMemoryError)
        if Killed.for_memory:
            exception = RayActorError(error_msg=str(exception))
        original(self, tracked_actor_task, exception)

    failed.mended = True  # type: ignore[attr-defined]
    RayActorManager._actor_task_failed = failed
