"""The events that the coordinator reports to a view of the running sweep."""

from __future__ import annotations

from typing import Protocol

from orchestrator.execution.events import Pack
from orchestrator.saving.checkpoints import TimedStep
from tasks.contract import Stage, Trial


class View(Protocol):
    """What watches a sweep run."""

    def pack_started(self, pack: Pack) -> None:
        """A pack was handed to a slot."""
        ...

    def progressed(self, trial: Trial, share: float, next_at: int | None) -> None:
        """A trial is within a step (``StepProgress``)."""
        ...

    def stepped(self, trial: Trial, timed: TimedStep, replayed: bool) -> None:
        """A trial made a step, in this run or (replayed) in an earlier one."""
        ...

    def ended(self, trial: Trial, status: str, value: float | None, reason: str) -> None:
        """A trial has ended and is durable. Called by the thread that wrote it."""
        ...

    def stage_progressed(self, stage: Stage, share: float) -> None:
        """So much of a stage is computed; 0 when that begins."""
        ...

    def stage_done(self, stage: Stage, seconds: float | None) -> None:
        """A stage was computed, or read from the disk."""
        ...

    def say(self, line: str) -> None:
        """A line for the user."""
        ...
