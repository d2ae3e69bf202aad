"""Shared work, each distinct stage once: in process here, as Ray tasks in ``ray_engine``."""

from __future__ import annotations

import time
from collections.abc import Sequence

from orchestrator.engine import Work
from tasks.contract import Inputs, Stage, Task, Trial, Value


def compute(stage: Stage, needs: Sequence[Value], device: str) -> Value:
    """The stage's value from the values of what it needs."""
    if stage.on_device:
        return stage.function(*needs, **stage.args, device=device)
    return stage.function(*needs, **stage.args)


def needed_stages(task: Task, trials: Sequence[Trial]) -> list[Stage]:
    """The stages that a pack's trials name, each once."""
    return list({stage.key: stage for t in trials for stage in task.stages(t)}.values())


class LocalStages:
    """Stage values kept in this process for the length of a sweep."""

    def __init__(self, work: Work, device: str) -> None:
        self._work, self._device = work, device
        self._values: dict[str, Value] = {}

    def get(self, stage: Stage) -> Value:
        """The stage's value, computed at its first use."""
        if stage.key not in self._values:
            needs = [self.get(need) for need in stage.needs]
            began = time.perf_counter()
            self._values[stage.key] = compute(stage, needs, self._device)
            self._work.stage_done(stage.label, stage.key, time.perf_counter() - began)
        return self._values[stage.key]

    def inputs(self, trials: Sequence[Trial]) -> Inputs:
        """What a pack reads."""
        return {stage: self.get(stage) for stage in needed_stages(self._work.task, trials)}
