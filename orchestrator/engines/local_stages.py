"""Shared stages computed in this process."""

from __future__ import annotations

import time
from collections.abc import Sequence

from orchestrator.execution.coordinator import Coordinator
from orchestrator.execution.stage_demand import StageValues
from orchestrator.execution.stages import compute, needed_stages
from orchestrator.hardware import main_memory
from tasks.contract import Inputs, Stage, Trial, Value
from tasks.interrupt import check_interrupt
from tasks.progress import Receiver, Throttle, reporting

IDLE_SHARE = 0.25  # of main memory that a search may fill with values that no trial needs now


class LocalStages:
    """Computes each stage at its first use, and keeps its value while it is needed."""

    def __init__(self, coordinator: Coordinator, device: str) -> None:
        self._coordinator, self._device = coordinator, device
        idle_bytes = IDLE_SHARE * (main_memory() or 0)
        self._values = StageValues(coordinator.demand, idle_bytes)
        self._throttle = Throttle()

    def get(self, stage: Stage) -> Value:
        """The stage's value, computed at its first use.

        Raises:
            Interrupted: if the sweep is to stop; the values so far are kept.
        """
        if stage.key not in self._values:
            self._values.release()
            check_interrupt()
            found = self._coordinator.cache.load(stage)
            if found is None:
                needs = [self.get(need) for need in stage.needs]
                began = time.perf_counter()
                with reporting(self._receiver(stage), self._throttle):
                    value = compute(stage, needs, self._device, self._coordinator.deadline)
                origin = self._coordinator.cache.save(stage, value, time.perf_counter() - began)
            else:
                value, origin = found
            self._coordinator.stage_done(stage, origin)
            self._values.put(stage.key, value, origin.num_bytes)
        return self._values.get(stage.key)

    def _receiver(self, stage: Stage) -> Receiver:
        self._coordinator.stage_progressed(stage, 0.0)
        return lambda share, next_at: self._coordinator.stage_progressed(stage, share)

    def inputs(self, trials: Sequence[Trial]) -> Inputs:
        """What a pack reads."""
        return {stage: self.get(stage) for stage in needed_stages(self._coordinator.task, trials)}
