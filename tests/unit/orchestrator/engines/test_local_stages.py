"""Stages of the local engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from orchestrator.engines.local_stages import LocalStages
from orchestrator.execution.stage_demand import StageDemand
from orchestrator.execution.stages import Origin, StageCache
from tasks.contract import Stage
from tasks.interrupt import Interrupted, interruptible


def draw(*, number: int) -> Any:
    return {"x": np.zeros(number)}


def stage(number: int) -> Stage:
    return Stage(function=draw, args={"number": number})


class Work:
    """The part of a coordinator that ``LocalStages`` uses."""

    step_timeout = None

    def __init__(self) -> None:
        self.cache = StageCache(None)
        self.demand = StageDemand(None, None)  # type: ignore[arg-type]
        self.done: list[Stage] = []

    def stage_done(self, stage: Stage, origin: Origin) -> None:
        self.done.append(stage)

    def stage_progressed(self, stage: Stage, share: float) -> None:
        pass


def test_no_stage_starts_after_an_interrupt() -> None:
    work = Work()
    stages = LocalStages(work, "cpu")  # type: ignore[arg-type]
    with interruptible(lambda: bool(work.done)):
        stages.get(stage(0))
        with pytest.raises(Interrupted):
            stages.get(stage(1))
        assert stages.get(stage(0)) is not None  # it is computed already
    assert work.done == [stage(0)]
