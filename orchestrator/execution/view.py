"""The events that the coordinator sends to a view."""

from __future__ import annotations

from typing import Protocol

from orchestrator.execution.events import Pack
from orchestrator.saving.checkpoints import TimedStep
from tasks.contract import Stage, Trial


class View(Protocol):
    """Shows the progress of a sweep."""

    def pack_started(self, pack: Pack) -> None:
        """A pack was handed to the engine."""
        ...

    def progressed(self, trial: Trial, share: float, next_at: int | None) -> None:
        """A trial made progress within a step (see ``StepProgress``)."""
        ...

    def stepped(self, trial: Trial, timed: TimedStep, replayed: bool) -> None:
        """A trial made a step; ``replayed`` if in an earlier run."""
        ...

    def ended(self, trial: Trial, status: str, value: float | None, reason: str) -> None:
        """A trial ended and its result is durable. The thread that writes results calls this."""
        ...

    def stage_progressed(self, stage: Stage, share: float) -> None:
        """A stage made progress, from 0 to 1; 0 when its computation starts."""
        ...

    def stage_done(self, stage: Stage, seconds: float | None) -> None:
        """A stage was computed in ``seconds``, or loaded (None)."""
        ...

    def print_line(self, line: str) -> None:
        """Print a line for the user."""
        ...
