"""The driver's side of a cluster: hands packs to workers and takes events in. Knows no Ray.

A pack is handed out at once, so that its worker starts while its stages are computed; the worker
waits for what they give. ``recovery`` decides about workers that are lost.
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
from orchestrator.execution.deadline import patience
from orchestrator.execution.events import Event, Failure, Pack, StepProgress
from orchestrator.execution.recovery import Cause, Fail, Recovery, Restart
from orchestrator.execution.stage_queue import Stages
from orchestrator.execution.stages import needed_stages
from orchestrator.saving.checkpoints import TimedStep
from tasks.contract import Stage

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5  # between two looks at what workers do

Worker = Any  # however the engine names one
Contents = tuple[tuple[Any, ...], Mapping[Stage, Any]]  # a pack's members, its stages' values


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What happened on the workers since the last look."""

    taken: dict[int, Worker]  # who took which pack
    steps: list[StepProgress]  # the last of each pack
    stages: dict[str, float]  # by the stage's key, the share of it that is done


class Workers(Protocol):
    """The workers of an engine."""

    def put(self, pack_id: int, contents: Contents, over: Sequence[int]) -> None:
        """Leave a pack for the worker that waits for it, and forget packs that are over."""

    def look(self, wait: bool) -> Iterable[Snapshot]:
        """What is new; nothing if that is not known at once, unless it may ``wait``."""

    def halt(self) -> None:
        """Have all workers save what they have computed."""

    def kill(self, worker: Worker) -> None:
        """End its process."""

    def ran_out_of_memory(self, worker: Worker) -> bool:
        """Whether that is what it died of."""

    def tail_log(self, worker: Worker) -> str:
        """The last lines that it wrote."""


@dataclass(kw_only=True, slots=True)
class _Handed:
    """A pack that was handed out and is not over."""

    stages: list[Stage]
    values: Mapping[Stage, Any] | None = None  # once all stages are computed
    worker: Worker | None = None  # that has taken it, as far as is known
    heard: float = math.inf  # when it was taken, or its worker last reported
    timed_out: bool = False  # its worker was killed for it


class Dispatcher:
    """Hands packs out and takes their events in."""

    def __init__(
        self, coordinator: Coordinator, workers: Workers, stages: Stages, num_workers: int
    ) -> None:
        self._coordinator, self._workers, self._stages = coordinator, workers, stages
        self._recovery = Recovery(coordinator.split, num_workers, coordinator.deadline)
        self._handed: dict[int, _Handed] = {}
        self._over: list[int] = []
        self._looked = time.monotonic()
        self._cancelled = False
        self.error: Exception | None = None  # ends the sweep, and is raised after it

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Keep an error of the driver's own until every worker has come to rest."""
        try:
            yield
        except Exception as error:
            self.error = self.error or error

    # --- packs ------------------------------------------------------------------------------------

    def next_pack(self) -> int | None:
        """A pack to run now, if there is one."""
        if self.is_halted():
            return None
        pack = self._recovery.next_pack(self._coordinator.next_pack)
        if pack is None:
            return None
        stages = needed_stages(self._coordinator.task, pack.trials)
        for stage in stages:
            self._stages.want(stage)
        self._handed[pack.id] = _Handed(stages=stages)
        self.poll()
        return pack.id

    def is_over(self) -> bool:
        """Whether there will be no more packs."""
        return self.is_halted() or (self._recovery.is_idle() and self._coordinator.is_over())

    def is_halted(self) -> bool:
        """Whether all packs are to stop at their next result."""
        return self.error is not None or self._coordinator.should_halt()

    def wants(self, pack_id: int, *, saved: bool = True) -> bool:
        """Whether this pack is to go on; on a halt, until its worker has ``saved`` its steps."""
        return pack_id in self._handed and not (self.is_halted() and saved)

    # --- what happens meanwhile -------------------------------------------------------------------

    def poll(self) -> None:
        """Pass on stages and progress; called again and again."""
        if self.is_halted():
            if not self._cancelled:
                self._cancelled = True
                self._stages.cancel()
                self._workers.halt()
            return
        self._stages.poll()
        self._stages.release()
        for pack_id, handed in list(self._handed.items()):
            if handed.values is None:
                self._put_if_ready(pack_id, handed)
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()

    def _put_if_ready(self, pack_id: int, handed: _Handed) -> None:
        """Members whose stages failed have failed too; the others wait for theirs."""
        if self._stages.failed(handed.stages) is not None:
            broken = set()
            for trial in self._recovery.remaining(pack_id).trials:
                error = self._stages.failed(self._coordinator.task.stages(trial))
                if error is not None:
                    broken.add(trial.id)
                    self._coordinator.fail_pack(Pack(id=pack_id, trials=(trial,)), error)
            if self._recovery.on_ended(pack_id, broken):
                self._drop(pack_id)
                return
            going = self._recovery.remaining(pack_id).trials
            handed.stages = needed_stages(self._coordinator.task, going)
        handed.values = self._stages.values(handed.stages)
        self._put(pack_id, handed)

    def _put(self, pack_id: int, handed: _Handed) -> None:
        if handed.values is not None:
            contents = (self._recovery.remaining(pack_id).trials, handed.values)
            self._workers.put(pack_id, contents, self._over)
            self._over = []

    def _look(self, wait: bool = False) -> None:
        """See which workers run what, how far they are, and kill those that hang."""
        now = self._looked = time.monotonic()
        for found in self._workers.look(wait):
            self._take_in(found, now)
        if self._coordinator.deadline is None:
            return
        for handed in self._handed.values():
            hangs = now - handed.heard > patience(self._coordinator.deadline)
            if hangs and handed.worker is not None and not handed.timed_out:
                handed.timed_out = True
                self._workers.kill(handed.worker)

    def _take_in(self, found: Snapshot, now: float) -> None:
        for step in found.steps:
            self._coordinator.progressed(step)
        for key, share in found.stages.items():
            stage = self._stages.running(key)
            if stage is not None:
                self._coordinator.stage_progressed(stage, share)
        for pack_id, worker in found.taken.items():
            if pack_id in self._handed:
                handed = self._handed[pack_id]
                handed.worker, handed.heard = worker, min(now, handed.heard)
                self._coordinator.pack_runs(self._recovery.remaining(pack_id))

    # --- what workers report ----------------------------------------------------------------------

    def on_result(self, pack_id: int, events: Sequence[Event]) -> None:
        """A pack's worker reported; with no events it waits for its pack."""
        self._recovery.on_report()
        handed = self._handed.get(pack_id)
        if handed is None:
            return  # its stages failed while its worker waited
        if not events:
            self._put(pack_id, handed)  # what was left for it may have been lost
            return
        handed.heard = time.monotonic()
        if any(self._coordinator.is_new(event) for event in events):
            self._recovery.on_step(pack_id)
        pack = self._recovery.remaining(pack_id)
        failures = {e.trial_id: e.outcome for e in events if isinstance(e.outcome, Failure)}
        short = {trial_id for trial_id, why in failures.items() if why.out_of_memory}
        if short and not self._recovery.on_out_of_memory(pack_id, short):
            events = [event for event in events if event.trial_id not in short]
        done = {
            e.trial_id for e in events if isinstance(e.outcome, TimedStep) and e.outcome.step.done
        }
        ended = self._coordinator.record(pack, events) | failures.keys() | done
        if self._recovery.on_ended(pack_id, ended):
            self._drop(pack_id)

    def on_worker_lost(self, pack_id: int) -> None:
        """A pack's worker is gone; afterwards ``wants`` says whether it needs another."""
        handed = self._handed.get(pack_id)
        if handed is not None:
            self._look(wait=True)
            self._lost(pack_id, handed, "timed out" if handed.timed_out else "died")

    def on_all_lost_to_memory(self) -> None:
        """All workers were stopped because some had no memory."""
        self._look(wait=True)
        for pack_id, handed in list(self._handed.items()):
            if handed.worker is not None and self._workers.ran_out_of_memory(handed.worker):
                self._lost(pack_id, handed, "out of memory")
            else:
                self._recovery.on_interrupted(pack_id)
                self._drop(pack_id)

    def _lost(self, pack_id: int, handed: _Handed, cause: Cause) -> None:
        pack, worker = self._recovery.remaining(pack_id), handed.worker
        action = self._recovery.on_worker_lost(pack_id, cause, took_pack=worker is not None)
        what = type(action).__name__.lower()
        logger.info(
            "pack %d: its worker (%s) %s: %s", pack_id, worker or "not started", cause, what
        )
        if isinstance(action, Restart):
            handed.worker, handed.heard = None, math.inf
            self._put(pack_id, handed)  # without the members that have ended
            return
        if isinstance(action, Fail):
            log = "" if worker is None else self._workers.tail_log(worker)
            self._coordinator.fail_pack(pack, Failure(reason=action.reason, log=log))
        self._drop(pack_id)

    def _drop(self, pack_id: int) -> None:
        del self._handed[pack_id]
        self._over.append(pack_id)
