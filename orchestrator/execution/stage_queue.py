"""Decides which shared stages can be computed next, and stores their values or failures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.execution.events import Failure
from orchestrator.execution.stage_demand import StageDemand, StageValues
from tasks.contract import Stage


class StageQueue(ABC):
    """A queue of distinct stages in the order of their dependencies.

    A value may be the engine's reference to it.
    """

    def __init__(self, limit: int, demand: StageDemand, idle_bytes: float) -> None:
        """Run at most ``limit`` stages at once; see ``StageValues`` for ``idle_bytes``."""
        self._limit = limit
        self.is_paused = False  # whether no further stage may start
        self._waiting: dict[str, Stage] = {}
        self._running: dict[str, Stage] = {}
        self._values = StageValues(demand, idle_bytes)
        self._failed: dict[str, Failure] = {}

    def request(self, stage: Stage) -> None:
        """Queue a stage after its dependencies."""
        for need in stage.needs:
            self.request(need)
        known = (self._waiting, self._running, self._values, self._failed)
        if not any(stage.key in each for each in known):
            self._waiting[stage.key] = stage

    def start_next(self) -> tuple[Stage, list[Any]] | None:
        """Mark a stage that can start as running; return it with its dependencies' values."""
        if self.is_paused:
            return None
        for stage in list(self._waiting.values()):
            failure = self.failed(stage.needs)
            if failure is not None:
                self._failed[self._waiting.pop(stage.key).key] = failure
            elif len(self._running) < self._limit and self.values(stage.needs) is not None:
                self._running[stage.key] = self._waiting.pop(stage.key)
                return stage, [self._values.get(need.key) for need in stage.needs]
        return None

    def on_done(self, stage: Stage, value: Any, num_bytes: int = 0) -> None:
        """Store the value of a running stage."""
        del self._running[stage.key]
        self._values.put(stage.key, value, num_bytes)

    def on_failed(self, stage: Stage, failure: Failure) -> None:
        """Record that a running stage failed; stages that depend on it fail too."""
        del self._running[stage.key]
        self._failed[stage.key] = failure

    def failed(self, stages: Sequence[Stage]) -> Failure | None:
        """Return the failure of one of these stages, None if none has failed."""
        return next((self._failed[s.key] for s in stages if s.key in self._failed), None)

    def values(self, stages: Sequence[Stage]) -> Mapping[Stage, Any] | None:
        """Return the values of these stages, None until all are computed."""
        if all(stage.key in self._values for stage in stages):
            return {stage: self._values.get(stage.key) for stage in stages}
        return None

    def running(self, key: str) -> Stage | None:
        """Return the running stage with this key, None if it is not running."""
        return self._running.get(key)

    def num_running(self) -> int:
        """Return the number of stages that are being computed."""
        return len(self._running)

    def release(self) -> None:
        """Release values that are no longer needed."""
        self._values.release()

    @abstractmethod
    def poll(self, timeout: float = 0.0) -> None:
        """Store the values of finished stages, and start stages that can run."""

    @abstractmethod
    def cancel(self) -> None:
        """Stop all running stages."""
