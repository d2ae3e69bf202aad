"""What a sweep needs of an engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from orchestrator.execution.coordinator import Coordinator


class Engine(Protocol):
    """Runs all the work there is."""

    num_slots: int  # packs that run at a time; known after ``start``
    slot_bytes: int | None  # memory of a slot's device, if that is known; likewise

    def start(
        self, max_packs: int | None, wait_for_nodes: Callable[[str], None], halt: Callable[[], bool]
    ) -> None:
        """Bring up what the engine runs on; at most so many packs can run side by side.

        ``wait_for_nodes`` takes a line for the user if machines have yet to be started; ``halt``
        returns whether to give up waiting for them.
        """
        ...

    def num_blind_nodes(self, path: str) -> int:
        """How many machines do not see this file of the driver's: their checkpoints are theirs."""
        ...

    def close(self) -> None:
        """Leave nothing running."""
        ...

    def run(self, coordinator: Coordinator) -> None:
        """Return when the work is over or halted."""
        ...
