"""Stages on a Ray cluster: each distinct one a Ray task, retried and rebuilt by Ray."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import orchestrator.ray_settings  # noqa: F401  before Ray

# isort: split
import ray

from orchestrator.deadline import overdue, patience
from orchestrator.engine import Failure, Work
from orchestrator.ray_workers import compute_stage
from tasks.contract import Stage, SweepError


class RayStages:
    """Each distinct stage as one Ray task; the driver owns the values."""

    def __init__(self, work: Work, mailbox: Any, limit: int, num_gpus: float, threads: int) -> None:
        """At most ``limit`` run at once, each on ``num_gpus`` where it needs a device."""
        self._work, self._mailbox, self._limit, self._threads = work, mailbox, limit, threads
        self._num_gpus = num_gpus
        self._refs: dict[str, Any] = {}
        # origin's ref -> stage, value's ref, when it was submitted
        self._running: dict[Any, tuple[Stage, Any, float]] = {}
        self._waiting: dict[str, Stage] = {}
        self._failed: dict[str, Failure] = {}

    def want(self, stage: Stage) -> None:
        """Have the stage computed, and before it what it needs."""
        for need in stage.needs:
            self.want(need)
        known = (
            self._refs,
            self._waiting,
            self._failed,
            {stage.key for stage, _, _ in self._running.values()},
        )
        if not any(stage.key in where for where in known):
            self._waiting[stage.key] = stage

    def poll(self, timeout: float = 0.0) -> None:
        """Take in what is done, and submit what can start."""
        self._submit()
        if self._take_in(timeout):
            self._submit()

    def cancel(self) -> None:
        """Take in what is done, and stop what runs: a halted sweep waits for no stage."""
        self._waiting.clear()
        self._take_in(0.0)
        for ref in self._running:
            ray.cancel(ref, force=True)
        self._running.clear()

    def _take_in(self, timeout: float) -> bool:
        """Whether a stage was done."""
        if not self._running:
            return False
        done, _ = ray.wait(list(self._running), timeout=timeout)
        for ref in done:
            stage, value, _ = self._running.pop(ref)
            try:
                origin = ray.get(ref)
            except Exception as error:
                self._failed[stage.key] = _ray_failure(error)
            else:
                self._refs[stage.key] = value
                self._work.stage_done(stage, origin)
        self._give_up_on_overdue()
        return bool(done)

    def _give_up_on_overdue(self) -> None:
        """Kill what should have interrupted itself long ago."""
        deadline = self._work.deadline
        if deadline is None:
            return
        for ref, (stage, _, submitted) in list(self._running.items()):
            if time.monotonic() - submitted > patience(deadline):
                del self._running[ref]
                ray.cancel(ref, force=True)
                reason = overdue(f"the shared stage {stage.label}", deadline)
                self._failed[stage.key] = Failure(reason=reason, log="")

    def _submit(self) -> None:
        for stage in list(self._waiting.values()):
            if len(self._running) >= self._limit:
                return
            broken = [self._failed[n.key] for n in stage.needs if n.key in self._failed]
            if broken:
                self._failed[stage.key] = broken[0]
                del self._waiting[stage.key]
            elif all(need.key in self._refs for need in stage.needs):
                del self._waiting[stage.key]
                needs = [self._refs[need.key] for need in stage.needs]
                gpus = self._num_gpus if stage.on_device else 0
                value, origin = compute_stage.options(num_returns=2, num_gpus=gpus).remote(
                    stage,
                    self._threads,
                    self._work.cache,
                    self._work.deadline,
                    self._mailbox,
                    *needs,
                )
                self._work.stage_progressed(stage, 0.0)
                self._running[origin] = (stage, value, time.monotonic())

    def take_progress(self, shares: Mapping[str, float]) -> None:
        """Pass on how much of each stage is computed, by its key."""
        for stage, _, _ in self._running.values():
            if stage.key in shares:
                self._work.stage_progressed(stage, shares[stage.key])

    def failed(self, stages: Sequence[Stage]) -> Failure | None:
        """Why these cannot be had, if so."""
        return next((self._failed[s.key] for s in stages if s.key in self._failed), None)

    def refs(self, stages: Sequence[Stage]) -> dict[Stage, Any] | None:
        """References to the stages' values, once all are there."""
        if all(stage.key in self._refs for stage in stages):
            return {stage: self._refs[stage.key] for stage in stages}
        return None


def _ray_failure(error: BaseException) -> Failure:
    cause = getattr(error, "cause", None) or error
    first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    name = "" if isinstance(cause, SweepError) else f"{type(cause).__name__}: "
    return Failure(reason=f"{name}{first}", log=str(error)[-4000:])
