"""Stages that are queued but never computed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from orchestrator.execution.stage_demand import StageDemand
from orchestrator.execution.stage_queue import StageQueue
from tasks.contract import Stage


def compute(*, stage: int) -> Any:
    return {}


def stage(number: int, *needs: Stage) -> Stage:
    return Stage(function=compute, args={"stage": number}, needs=needs)


#: Each trial needs the stage of its number.
TASK: Any = SimpleNamespace(stages=lambda trial: [stage(trial.params.stage)])


class FakeStages(StageQueue):
    def __init__(self, demand: StageDemand) -> None:
        super().__init__(2, demand, idle_bytes=0)
        self.cancelled = False

    def poll(self, timeout: float = 0.0) -> None:
        while self.start_next():
            pass

    def cancel(self) -> None:
        self.cancelled = True
