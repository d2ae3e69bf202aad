"""Hands packs to remote workers and records their events. Does not import Ray.

A pack is assigned to a worker before its shared stages are computed, so that the worker's process
starts in the meantime. The worker then waits for the pack's contents. ``recovery`` decides what
happens when a worker is lost.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.execution.coordinator import Coordinator
from orchestrator.execution.events import Event, Failure, Pack, StepProgress
from orchestrator.execution.recovery import Cause, Fail, Recovery, Restart
from orchestrator.execution.stage_queue import StageQueue
from orchestrator.execution.stages import needed_stages
from orchestrator.execution.timeout import grace_period
from orchestrator.saving.checkpoints import TimedStep
from tasks.contract import Stage

logger = logging.getLogger(__name__)

CHECK_SECONDS = 0.5  # between two checks of the workers

Worker = Any  # the engine's handle of a worker
Contents = tuple[tuple[Any, ...], Mapping[Stage, Any]]  # a pack's trials and its stages' values


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What happened on the workers since the last snapshot."""

    workers: dict[int, Worker]  # pack id -> the worker that took the pack
    steps: list[StepProgress]  # the latest report of each pack
    stages: dict[str, float]  # stage key -> progress, 0 to 1
    orders: int  # the number of the orders that were in force at the end of it


@dataclass(frozen=True, kw_only=True, slots=True)
class Orders:
    """What all workers must do."""

    number: int = 0  # increases with each change
    is_paused: bool = False  # whether to wait before the next step
    cancelled: frozenset[str] = frozenset()  # ids of trials to stop


class Workers(Protocol):
    """The workers of an engine."""

    def put(self, pack_id: int, contents: Contents, finished_packs: Sequence[int]) -> None:
        """Make a pack available to its worker, and discard finished packs."""

    def snapshots(self, wait: bool) -> Iterable[Snapshot]:
        """Return the snapshots that have arrived; request a new one and ``wait`` for it if set."""

    def order(self, orders: Orders) -> None:
        """Send orders to all workers, including those that start later."""

    def halt(self) -> None:
        """Make all workers save their checkpoints."""

    def kill(self, worker: Worker) -> None:
        """Kill a worker's process."""

    def ran_out_of_memory(self, worker: Worker) -> bool:
        """Return whether a dead worker was killed because its node ran out of memory."""

    def tail_log(self, worker: Worker) -> str:
        """Return the last lines of a worker's output."""


@dataclass(kw_only=True, slots=True)
class _ActivePack:
    """A pack that was handed to the engine and has not finished."""

    stages: list[Stage]
    values: Mapping[Stage, Any] | None = None  # of the stages, once all are computed
    worker: Worker | None = None  # None until a worker has taken the pack
    last_report: float = math.inf  # when the worker took the pack or last reported a step
    timed_out: bool = False  # whether its worker was killed for a timeout


class Dispatcher:
    """Hands packs to workers and passes their events to the coordinator."""

    def __init__(
        self, coordinator: Coordinator, workers: Workers, stages: StageQueue, num_workers: int
    ) -> None:
        self._coordinator, self._workers, self._stages = coordinator, workers, stages
        self._recovery = Recovery(coordinator.split, num_workers, coordinator.step_timeout)
        self._active: dict[int, _ActivePack] = {}
        self._finished: list[int] = []  # packs whose contents the mailbox still holds
        self._last_check = time.monotonic()
        self._cancelled = False  # whether stages and workers have been asked to stop
        self._orders = Orders()
        self.error: Exception | None = None  # halts the sweep; the engine raises it at the end

    @contextmanager
    def capture_errors(self) -> Iterator[None]:
        """Store an error of the driver in ``error``, so that all workers can stop first."""
        try:
            yield
        except Exception as error:
            self.error = self.error or error

    # --- packs ------------------------------------------------------------------------------------

    def next_pack(self) -> int | None:
        """Return the id of a pack to run now, None if there is none."""
        if self.is_halted():
            return None
        if self._coordinator.is_paused():
            self.poll()  # Tune does not call it while it waits for a pack
            return None
        pack = self._recovery.next_pack(self._coordinator.next_pack)
        if pack is None:
            return None
        stages = needed_stages(self._coordinator.task, pack.trials)
        for stage in stages:
            self._stages.request(stage)
        self._active[pack.id] = _ActivePack(stages=stages)
        self.poll()
        return pack.id

    def is_exhausted(self) -> bool:
        """Return whether there will be no more packs."""
        return self.is_halted() or (self._recovery.is_idle() and self._coordinator.is_exhausted())

    def is_halted(self) -> bool:
        """Return whether all packs must stop at their next result."""
        return self.error is not None or self._coordinator.should_halt()

    def should_continue(self, pack_id: int, *, saved: bool = True) -> bool:
        """Return whether a pack continues. On a halt, it stops once its steps are ``saved``."""
        return pack_id in self._active and not (self.is_halted() and saved)

    # --- stages and progress ----------------------------------------------------------------------

    def poll(self) -> None:
        """Start stages, send packs whose stages are computed, and check the workers.

        The engine must call this regularly.
        """
        if self.is_halted():
            if not self._cancelled:
                self._cancelled = True
                self._stages.cancel()
                self._workers.halt()
            return
        self._steer()
        self._stages.poll()
        self._stages.release()
        for pack_id, active in list(self._active.items()):
            if active.values is None:
                self._put_if_ready(pack_id, active)
        if time.monotonic() - self._last_check > CHECK_SECONDS:
            self._check_workers()

    def _steer(self) -> None:
        """Cancel trials and pause or resume the workers, as users ask."""
        cancelled = self._coordinator.cancel_trials()
        for pack_id in self._recovery.on_cancelled(cancelled):
            self._remove(pack_id)
        is_paused = self._coordinator.is_paused()
        if cancelled or is_paused != self._orders.is_paused:
            self._orders = Orders(
                number=self._orders.number + 1,
                is_paused=is_paused,
                cancelled=self._orders.cancelled | cancelled,
            )
            self._workers.order(self._orders)
            self._stages.is_paused = is_paused

    def _put_if_ready(self, pack_id: int, active: _ActivePack) -> None:
        """Fail members whose stages failed, and send the others if their stages are computed."""
        if self._stages.failed(active.stages) is not None:
            failed = set()
            for trial in self._recovery.remaining(pack_id).trials:
                error = self._stages.failed(self._coordinator.task.stages(trial))
                if error is not None:
                    failed.add(trial.id)
                    self._coordinator.fail_pack(Pack(id=pack_id, trials=(trial,)), error)
            if self._recovery.on_ended(pack_id, failed):
                self._remove(pack_id)
                return
            remaining = self._recovery.remaining(pack_id).trials
            active.stages = needed_stages(self._coordinator.task, remaining)
        active.values = self._stages.values(active.stages)
        self._put(pack_id, active)

    def _put(self, pack_id: int, active: _ActivePack) -> None:
        if active.values is not None:
            contents = (self._recovery.remaining(pack_id).trials, active.values)
            self._workers.put(pack_id, contents, self._finished)
            self._finished = []

    def _check_workers(self, wait: bool = False) -> None:
        """Process the workers' reports, and kill workers that exceed the step timeout."""
        now = self._last_check = time.monotonic()
        if self._orders.number:
            self._workers.order(self._orders)  # again: the mailbox may have been lost
        for snapshot in self._workers.snapshots(wait):
            self._process(snapshot, now)
        if self._coordinator.step_timeout is None:
            return
        for active in self._active.values():
            is_late = now - active.last_report > grace_period(self._coordinator.step_timeout)
            if is_late and active.worker is not None and not active.timed_out:
                active.timed_out = True
                self._workers.kill(active.worker)

    def _process(self, snapshot: Snapshot, now: float) -> None:
        for step in snapshot.steps:
            self._coordinator.progressed(step)
        for key, share in snapshot.stages.items():
            stage = self._stages.running(key)
            if stage is not None:
                self._coordinator.stage_progressed(stage, share)
        for pack_id, worker in snapshot.workers.items():
            if pack_id in self._active:
                active = self._active[pack_id]
                active.worker, active.last_report = worker, min(now, active.last_report)
                self._coordinator.mark_running(self._recovery.remaining(pack_id))
        are_orders_known = snapshot.orders == self._orders.number
        if self._orders.is_paused and are_orders_known and not self._stages.num_running():
            self._coordinator.confirm_pause()  # from now on, no worker takes a pack

    # --- reports of workers -----------------------------------------------------------------------

    def on_held(self, pack_id: int, orders: int) -> None:
        """Record that a worker holds its pack because of the orders with this number."""
        self._recovery.on_report()
        active = self._active.get(pack_id)
        if active is not None:
            if active.worker is not None:  # else it waits for its pack, possibly for long
                active.last_report = time.monotonic()
            if orders == self._orders.number:
                self._coordinator.mark_held(self._recovery.remaining(pack_id).trials)

    def on_result(self, pack_id: int, events: Sequence[Event]) -> None:
        """Record a worker's report. A worker that waits for its pack reports no events."""
        self._recovery.on_report()
        active = self._active.get(pack_id)
        if active is None:
            return  # its stages failed while its worker waited
        if not events:
            self._put(pack_id, active)  # the mailbox may have been lost, and the pack with it
            return
        active.last_report = time.monotonic()
        if any(self._coordinator.is_new(event) for event in events):
            self._recovery.on_step(pack_id)
        pack = self._recovery.remaining(pack_id)
        failures = {e.trial_id: e.outcome for e in events if isinstance(e.outcome, Failure)}
        oom = {trial_id for trial_id, failure in failures.items() if failure.out_of_memory}
        if oom and not self._recovery.on_out_of_memory(pack_id, oom):
            self._coordinator.mark_waiting(t for t in pack.trials if t.id in oom)
            events = [event for event in events if event.trial_id not in oom]
        done = {
            e.trial_id for e in events if isinstance(e.outcome, TimedStep) and e.outcome.step.done
        }
        ended = self._coordinator.record(pack, events) | failures.keys() | done
        if self._recovery.on_ended(pack_id, ended):
            self._remove(pack_id)

    def on_worker_lost(self, pack_id: int) -> None:
        """Handle a dead worker. ``should_continue`` then returns whether its pack restarts."""
        active = self._active.get(pack_id)
        if active is not None:
            self._check_workers(wait=True)
            self._recover(pack_id, active, "timed out" if active.timed_out else "died")

    def on_all_lost_to_memory(self) -> None:
        """Handle the loss of all workers after some of them ran out of memory."""
        self._check_workers(wait=True)
        for pack_id, active in list(self._active.items()):
            if active.worker is not None and self._workers.ran_out_of_memory(active.worker):
                self._recover(pack_id, active, "out of memory")
            else:
                self._coordinator.mark_waiting(self._recovery.remaining(pack_id).trials)
                self._recovery.on_interrupted(pack_id)
                self._remove(pack_id)

    def _recover(self, pack_id: int, active: _ActivePack, cause: Cause) -> None:
        pack, worker = self._recovery.remaining(pack_id), active.worker
        self._coordinator.mark_waiting(pack.trials)
        action = self._recovery.on_worker_lost(pack_id, cause, took_pack=worker is not None)
        name = type(action).__name__.lower()
        logger.info(
            "pack %d: its worker (%s) %s: %s", pack_id, worker or "not started", cause, name
        )
        if isinstance(action, Restart):
            active.worker, active.last_report = None, math.inf
            self._put(pack_id, active)  # without the members that have ended
            return
        if isinstance(action, Fail):
            log = "" if worker is None else self._workers.tail_log(worker)
            self._coordinator.fail_pack(pack, Failure(reason=action.reason, log=log))
        self._remove(pack_id)

    def _remove(self, pack_id: int) -> None:
        del self._active[pack_id]
        self._finished.append(pack_id)
