"""The interface of an engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from orchestrator.execution.coordinator import Coordinator


class Engine(Protocol):
    """Runs the packs of a sweep.

    Call ``start``, then ``run``, and ``close`` in any case.
    """

    num_workers: int  # packs that run at the same time; set by ``start``
    worker_memory: int | None  # bytes of memory per worker, None if unknown; set by ``start``

    def start(
        self,
        max_packs: int | None,
        wait_for_nodes: Callable[[str], None],
        should_halt: Callable[[], bool],
    ) -> None:
        """Start or connect to the workers' machines.

        Args:
            max_packs: the maximum number of packs that can run at the same time, None if unknown.
            wait_for_nodes: is called with a line for the user if machines must be started first.
            should_halt: returns whether to stop waiting for machines.
        """
        ...

    def num_nodes_without_shared_storage(self, path: str) -> int:
        """Return the number of machines that cannot read ``path``, a file of the driver."""
        ...

    def close(self) -> None:
        """Stop everything that the engine started."""
        ...

    def run(self, coordinator: Coordinator) -> None:
        """Run packs until all have ended or the coordinator halts."""
        ...
