"""The measurement of a trial's memory before workers start."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fake_stages import FakeStages, stage

from orchestrator.execution.sizing import measure_first_trial
from orchestrator.execution.stage_demand import StageDemand

TRIAL: Any = SimpleNamespace(id="t", params=SimpleNamespace(stage=0))


class Work:
    """A sweep with one trial, which is paused until ``wait`` was called twice."""

    def __init__(self) -> None:
        self.task: Any = SimpleNamespace(stages=lambda trial: [stage(0)])
        self.steering: Any = SimpleNamespace(wait=self.wait)
        self.num_waits = self.num_confirmed = 0

    def wait(self, seconds: float) -> None:
        self.num_waits += 1

    def is_paused(self) -> bool:
        return self.num_waits < 2

    def should_halt(self) -> bool:
        return False

    def cancel_trials(self) -> set[str]:
        return set()

    def is_to_measure(self, trial: Any) -> bool:
        return True

    def confirm_pause(self) -> None:
        self.num_confirmed += 1

    def trial_to_measure(self) -> Any:
        return TRIAL


class Stages(FakeStages):
    """Computes a stage as soon as it may."""

    def __init__(self, work: Work) -> None:
        super().__init__(StageDemand(work.task, [TRIAL]))
        self.work, self.computed_after = work, -1

    def poll(self, timeout: float = 0.0) -> None:
        started = self.start_next()
        if started is not None:
            self.computed_after = self.work.num_waits
            self.on_done(started[0], "value")


def test_nothing_is_computed_during_a_pause() -> None:
    work: Any = Work()
    stages = Stages(work)
    measured: list[int] = []

    def measure(trial: Any, values: Any) -> None:
        measured.append(work.num_waits)

    assert measure_first_trial(work, stages, measure) is None
    assert (stages.computed_after, measured) == (2, [2])
    assert work.num_confirmed == 2
