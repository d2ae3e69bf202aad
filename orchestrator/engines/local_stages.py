"""Computes shared stages in this process."""

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

IDLE_FRACTION = 0.25  # of main memory, for values that no running trial of a search needs


class LocalStages:
    """Computes stages on first use and keeps their values while they are needed."""

    def __init__(self, coordinator: Coordinator, device: str) -> None:
        self._coordinator, self._device = coordinator, device
        idle_bytes = IDLE_FRACTION * (main_memory() or 0)
        self._values = StageValues(coordinator.demand, idle_bytes)
        self._throttle = Throttle()

    def get(self, stage: Stage) -> Value:
        """Return the value of a stage; compute or load it on first use.

        Raises:
            Interrupted: if the sweep halts before the stage starts.
        """
        if stage.key not in self._values:
            self._values.release()
            check_interrupt()
            cached = self._coordinator.cache.load(stage)
            if cached is None:
                needs = [self.get(need) for need in stage.needs]
                start = time.perf_counter()
                with reporting(self._receiver(stage), self._throttle):
                    value = compute(stage, needs, self._device, self._coordinator.step_timeout)
                origin = self._coordinator.cache.save(stage, value, time.perf_counter() - start)
            else:
                value, origin = cached
            self._coordinator.stage_done(stage, origin)
            self._values.put(stage.key, value, origin.num_bytes)
        return self._values.get(stage.key)

    def _receiver(self, stage: Stage) -> Receiver:
        self._coordinator.stage_progressed(stage, 0.0)
        return lambda share, next_at: self._coordinator.stage_progressed(stage, share)

    def inputs(self, trials: Sequence[Trial]) -> Inputs:
        """Return the values of the stages that these trials need."""
        return {stage: self.get(stage) for stage in needed_stages(self._coordinator.task, trials)}
