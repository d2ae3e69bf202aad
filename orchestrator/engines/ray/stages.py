"""Runs shared stages as Ray tasks. Ray retries them and rebuilds lost values."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orchestrator.engines.ray.settings  # noqa: F401  before Ray

# isort: split
import ray

from orchestrator.execution.events import MAX_LOG, Failure
from orchestrator.execution.stage_queue import StageQueue
from orchestrator.execution.stages import StageCache
from orchestrator.execution.timeout import grace_period, timeout_message
from orchestrator.execution.worker_process import load_or_compute
from tasks.contract import Stage, SweepError

if TYPE_CHECKING:  # the processes that compute stages import this file
    from orchestrator.execution.coordinator import Coordinator

#: Part of the object store for values that no running trial of a search needs. Ray spills values
#: that do not fit to disk.
IDLE_FRACTION = 0.5
START_SECONDS = 60.0  # for Ray to start the process of a task


@ray.remote(num_cpus=0, max_retries=3)  # type: ignore[untyped-decorator]
def compute_stage(
    stage: Stage,
    threads: int,
    cache: StageCache,
    step_timeout: float | None,
    mailbox: Any,
    *needs: Any,
) -> tuple[Any, Any]:
    """Return the value of a stage, loaded or computed, and its ``Origin``."""

    def receive(share: float, next_at: int | None) -> None:
        mailbox.report_stage.remote(stage.key, share)

    return load_or_compute(stage, needs, threads, cache, step_timeout, receive)


class RayStages(StageQueue):
    """A stage queue whose values are Ray object references that the driver owns."""

    def __init__(
        self, coordinator: Coordinator, mailbox: Any, limit: int, num_gpus: float, threads: int
    ) -> None:
        """Run at most ``limit`` stages at once, with ``num_gpus`` for each that needs a device."""
        store = ray.cluster_resources().get("object_store_memory", 0.0)
        super().__init__(limit, coordinator.demand, IDLE_FRACTION * store)
        self._coordinator, self._mailbox, self._threads = coordinator, mailbox, threads
        self._num_gpus = num_gpus
        # Reference of the origin -> stage, reference of the value, time of submission.
        self._tasks: dict[Any, tuple[Stage, Any, float]] = {}

    def poll(self, timeout: float = 0.0) -> None:
        """Store the values of finished stages, and submit stages that can run."""
        self._submit()
        if self._collect(timeout):
            self._submit()

    def cancel(self) -> None:
        """Store the values of finished stages, and cancel the others."""
        self._collect(0.0)
        for ref in self._tasks:
            ray.cancel(ref, force=True)
        self._tasks.clear()

    def _submit(self) -> None:
        while (started := self.start_next()) is not None:
            stage, needs = started
            gpus = self._num_gpus if stage.on_device else 0
            value, origin = compute_stage.options(num_returns=2, num_gpus=gpus).remote(
                stage,
                self._threads,
                self._coordinator.cache,
                self._coordinator.step_timeout,
                self._mailbox,
                *needs,
            )
            self._coordinator.stage_progressed(stage, 0.0)
            self._tasks[origin] = (stage, value, time.monotonic())

    def _collect(self, timeout: float) -> bool:
        """Store the values of finished stages; return whether there were any."""
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
        if self._coordinator.step_timeout is not None:
            self._cancel_late(self._coordinator.step_timeout)
        return bool(done)

    def _cancel_late(self, step_timeout: float) -> None:
        """Cancel stages that exceeded the step timeout and did not interrupt themselves."""
        for ref, (stage, _, submitted) in list(self._tasks.items()):
            if time.monotonic() - submitted > START_SECONDS + grace_period(step_timeout):
                del self._tasks[ref]
                ray.cancel(ref, force=True)
                reason = timeout_message(f"the shared stage {stage.label}", step_timeout)
                self.on_failed(stage, Failure(reason=reason, log=""))


def _ray_failure(error: BaseException) -> Failure:
    cause = getattr(error, "cause", None) or error
    first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    name = "" if isinstance(cause, SweepError) else f"{type(cause).__name__}: "
    return Failure(reason=f"{name}{first}", log=str(error)[-MAX_LOG:])
