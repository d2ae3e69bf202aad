"""Stages on a Ray cluster: each distinct one a Ray task, retried and rebuilt by Ray."""

from __future__ import annotations

import time
from typing import Any

import orchestrator.engines.ray.settings  # noqa: F401  before Ray

# isort: split
import ray

from orchestrator.engines.ray.workers import compute_stage
from orchestrator.execution.coordinator import Coordinator
from orchestrator.execution.deadline import overdue, patience
from orchestrator.execution.events import MAX_LOG, Failure
from orchestrator.execution.stage_queue import Stages
from tasks.contract import Stage, SweepError

#: Of the object store that a search may fill with values that no trial needs now; Ray itself moves
#: what does not fit to the disk.
IDLE_SHARE = 0.5
START_SECONDS = 60.0  # that Ray may take to start a task's process


class RayStages(Stages):
    """Each distinct stage as one Ray task; the driver owns the values, which are references."""

    def __init__(
        self, coordinator: Coordinator, mailbox: Any, limit: int, num_gpus: float, threads: int
    ) -> None:
        """At most ``limit`` run at once, each on ``num_gpus`` where it needs a device."""
        store = ray.cluster_resources().get("object_store_memory", 0.0)
        super().__init__(limit, coordinator.demand, IDLE_SHARE * store)
        self._coordinator, self._mailbox, self._threads = coordinator, mailbox, threads
        self._num_gpus = num_gpus
        # origin's reference -> stage, value's reference, when it was submitted
        self._tasks: dict[Any, tuple[Stage, Any, float]] = {}

    def poll(self, timeout: float = 0.0) -> None:
        """Take in what is done, and submit what can start."""
        self._submit()
        if self._take_in(timeout):
            self._submit()

    def cancel(self) -> None:
        """Take in what is done, and stop what runs: a halted sweep waits for no stage."""
        self._take_in(0.0)
        for ref in self._tasks:
            ray.cancel(ref, force=True)
        self._tasks.clear()

    def _submit(self) -> None:
        while (found := self.start_next()) is not None:
            stage, needs = found
            gpus = self._num_gpus if stage.on_device else 0
            value, origin = compute_stage.options(num_returns=2, num_gpus=gpus).remote(
                stage,
                self._threads,
                self._coordinator.cache,
                self._coordinator.deadline,
                self._mailbox,
                *needs,
            )
            self._coordinator.stage_progressed(stage, 0.0)
            self._tasks[origin] = (stage, value, time.monotonic())

    def _take_in(self, timeout: float) -> bool:
        """Whether a stage was done."""
        if not self._tasks:
            return False
        done, _ = ray.wait(list(self._tasks), timeout=timeout)
        for ref in done:
            stage, value, _ = self._tasks.pop(ref)
            try:
                origin = ray.get(ref)
            except Exception as error:
                self.on_failed(stage, _ray_failure(error))
            else:
                self.on_done(stage, value, origin.num_bytes)
                self._coordinator.stage_done(stage, origin)
        if self._coordinator.deadline is not None:
            self._give_up_on_overdue(self._coordinator.deadline)
        return bool(done)

    def _give_up_on_overdue(self, deadline: float) -> None:
        """Kill what should have interrupted itself long ago."""
        for ref, (stage, _, submitted) in list(self._tasks.items()):
            if time.monotonic() - submitted > START_SECONDS + patience(deadline):
                del self._tasks[ref]
                ray.cancel(ref, force=True)
                reason = overdue(f"the shared stage {stage.label}", deadline)
                self.on_failed(stage, Failure(reason=reason, log=""))


def _ray_failure(error: BaseException) -> Failure:
    cause = getattr(error, "cause", None) or error
    first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    name = "" if isinstance(cause, SweepError) else f"{type(cause).__name__}: "
    return Failure(reason=f"{name}{first}", log=str(error)[-MAX_LOG:])
