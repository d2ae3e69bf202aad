"""Which shared stages can be computed next, and what became of the others. Computes nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.execution.events import Failure
from orchestrator.execution.stage_demand import StageDemand, StageValues
from tasks.contract import Stage


class Stages(ABC):
    """Distinct stages in the order of their needs; a value is whatever the engine keeps of it."""

    def __init__(self, limit: int, demand: StageDemand, idle_bytes: float) -> None:
        """At most ``limit`` stages run at once; for ``idle_bytes`` see ``StageValues``."""
        self._limit = limit
        self._waiting: dict[str, Stage] = {}
        self._running: dict[str, Stage] = {}
        self._values = StageValues(demand, idle_bytes)
        self._failed: dict[str, Failure] = {}

    def want(self, stage: Stage) -> None:
        """Have the stage computed, and before it what it needs."""
        for need in stage.needs:
            self.want(need)
        known = (self._waiting, self._running, self._values, self._failed)
        if not any(stage.key in where for where in known):
            self._waiting[stage.key] = stage

    def start_next(self) -> tuple[Stage, list[Any]] | None:
        """A stage that can start, which counts as running, and the values of what it needs."""
        for stage in list(self._waiting.values()):
            broken = self.failed(stage.needs)
            if broken is not None:
                self._failed[self._waiting.pop(stage.key).key] = broken
            elif len(self._running) < self._limit and self.values(stage.needs) is not None:
                self._running[stage.key] = self._waiting.pop(stage.key)
                return stage, [self._values.get(need.key) for need in stage.needs]
        return None

    def on_done(self, stage: Stage, value: Any, num_bytes: int = 0) -> None:
        """A stage was computed."""
        del self._running[stage.key]
        self._values.put(stage.key, value, num_bytes)

    def on_failed(self, stage: Stage, why: Failure) -> None:
        """A stage failed, and with it all that need it."""
        del self._running[stage.key]
        self._failed[stage.key] = why

    def failed(self, stages: Sequence[Stage]) -> Failure | None:
        """Why these cannot be had, if so."""
        return next((self._failed[s.key] for s in stages if s.key in self._failed), None)

    def values(self, stages: Sequence[Stage]) -> Mapping[Stage, Any] | None:
        """The stages' values, once all are there."""
        if all(stage.key in self._values for stage in stages):
            return {stage: self._values.get(stage.key) for stage in stages}
        return None

    def running(self, key: str) -> Stage | None:
        """The stage of this key, while it is computed."""
        return self._running.get(key)

    def release(self) -> None:
        """Let go of values that are not needed any more."""
        self._values.release()

    @abstractmethod
    def poll(self, timeout: float = 0.0) -> None:
        """Take in what is done, and start what can start."""

    @abstractmethod
    def cancel(self) -> None:
        """Stop all that run."""
