"""The packs of a sweep as trials of Ray Tune: what Tune asks for, and what it hears.

PackSearcher    suggests the id of a pack, nothing while there is none, FINISHED at the end
PackScheduler   takes the events out of each result, stops packs that have ended, and all of
                them on a halt
PackRunner      what both ask: stages computed, packs put into the mailbox, losses decided
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orchestrator.ray_settings  # noqa: F401  before Ray

# isort: split
import ray
from ray.exceptions import OutOfMemoryError
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.deadline import patience
from orchestrator.engine import Event, Failure, Pack, Work
from orchestrator.ray_stages import RayStages
from orchestrator.ray_workers import WorkerLocation, tail_worker_log
from orchestrator.recovery import Cause, Fail, Recovery, Restart
from orchestrator.stages import needed_stages
from tasks.contract import Stage

LOOK_SECONDS = 0.5  # between two looks into the mailbox
TAIL_SECONDS = 20.0  # to wait for a dead worker's log
DEATH_SECONDS = 10.0  # to wait for Ray to say why an actor died


@dataclass(kw_only=True, slots=True)
class _Handed:
    """A pack that Tune has."""

    stages: list[Stage]
    refs: dict[Stage, Any] | None = None  # to the stages' values, once all are computed
    worker: WorkerLocation | None = None  # that has taken it, as far as is known
    heard: float = math.inf  # when it was taken, or its worker last reported
    timed_out: bool = False  # its worker was killed for it


class PackRunner:
    """Hands packs to Tune and takes their events in."""

    def __init__(self, work: Work, mailbox: Any, stages: RayStages, num_workers: int) -> None:
        self._work, self._mailbox, self._stages = work, mailbox, stages
        self._recovery = Recovery(work.split, num_workers, work.deadline)
        self._handed: dict[int, _Handed] = {}
        self._over: list[int] = []  # packs that can go from the mailbox
        self._looked = time.monotonic()
        self._halted = False
        self.error: Exception | None = None  # ends the sweep, and is raised after it

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Keep an error: Tune would wrap its traceback in its own."""
        try:
            yield
        except Exception as error:
            self.error = self.error or error

    # --- what Tune asks ---------------------------------------------------------------------------

    def next_pack(self) -> Pack | None:
        """A pack to run now. Its worker can start while its stages are computed."""
        if self.is_halted():
            return None
        pack = self._recovery.next_pack(self._work.next_pack)
        if pack is not None:
            stages = needed_stages(self._work.task, pack.trials)
            for stage in stages:
                self._stages.want(stage)
            self._handed[pack.id] = _Handed(stages=stages)
            self.poll()
        return pack

    def is_over(self) -> bool:
        """Whether there will be no more packs."""
        return self.is_halted() or (self._recovery.is_idle() and self._work.is_over())

    def is_halted(self) -> bool:
        """Whether all packs are to stop at their next result."""
        return self.error is not None or self._work.should_halt()

    def wants(self, pack_id: int) -> bool:
        """Whether this pack is still to run."""
        return pack_id in self._handed and not self.is_halted()

    # --- what happens meanwhile -------------------------------------------------------------------

    def poll(self) -> None:
        """Pass on stages and progress; called again and again."""
        if self.is_halted():
            if not self._halted:
                self._halted = True
                self._stages.cancel()
            return
        self._stages.poll()
        for pack_id, handed in list(self._handed.items()):
            if handed.refs is None:
                self._put_if_ready(pack_id, handed)
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()

    def _put_if_ready(self, pack_id: int, handed: _Handed) -> None:
        """Members whose stages failed have failed too; the others wait for theirs."""
        error = self._stages.failed(handed.stages)
        if error is not None:
            broken = set()
            for trial in self._recovery.remaining(pack_id).trials:
                error = self._stages.failed(self._work.task.stages(trial))
                if error is not None:
                    broken.add(trial.id)
                    self._work.fail_pack(Pack(id=pack_id, trials=(trial,)), error)
            if self._recovery.on_ended(pack_id, broken):
                del self._handed[pack_id]
                return
            going = self._recovery.remaining(pack_id).trials
            handed.stages = needed_stages(self._work.task, going)
        handed.refs = self._stages.refs(handed.stages)
        self._put(pack_id, handed)

    def _put(self, pack_id: int, handed: _Handed) -> None:
        if handed.refs is not None:
            contents = (self._recovery.remaining(pack_id).trials, handed.refs)
            self._mailbox.put.remote(pack_id, contents, self._over)
            self._over = []

    def _look(self) -> None:
        """See which workers run what, how far they are, and kill those that hang."""
        now = self._looked = time.monotonic()
        found = ray.get(self._mailbox.look.remote())
        for step in found.steps:
            self._work.progressed(step)
        self._stages.take_progress(found.stages)
        for pack_id, worker in found.taken.items():
            if pack_id in self._handed:
                handed = self._handed[pack_id]
                handed.worker, handed.heard = worker, min(now, handed.heard)
                self._work.pack_runs(self._recovery.remaining(pack_id))
        if self._work.deadline is None:
            return
        for handed in self._handed.values():
            silent = now - handed.heard > patience(self._work.deadline)
            if silent and handed.worker is not None and not handed.timed_out:
                handed.timed_out = True
                ray.kill(handed.worker.actor)

    # --- what Tune tells --------------------------------------------------------------------------

    def on_result(self, pack_id: int, events: Sequence[Event]) -> None:
        """A pack's worker reported; with no events it waits for its pack."""
        self._recovery.on_report()
        handed = self._handed.get(pack_id)
        if handed is None:
            return  # its stages failed while its worker waited
        if not events:
            self._put(pack_id, handed)  # the mailbox may have been lost
            return
        handed.heard = time.monotonic()
        if any(not event.replayed for event in events):
            self._recovery.on_step(pack_id)
        pack = self._recovery.remaining(pack_id)
        failures = {e.trial_id: e.outcome for e in events if isinstance(e.outcome, Failure)}
        short = {trial_id for trial_id, why in failures.items() if why.out_of_memory}
        if short and not self._recovery.on_out_of_memory(pack_id, short):
            events = [event for event in events if event.trial_id not in short]
        done = {e.trial_id for e in events if e.trial_id not in failures and e.outcome.step.done}
        ended = self._work.record(pack, events) | failures.keys() | done
        if self._recovery.on_ended(pack_id, ended):
            self._drop(pack_id)

    def on_worker_lost(self, pack_id: int) -> None:
        """A pack's worker is gone, and Tune would start another for it."""
        handed = self._handed.get(pack_id)
        if handed is not None:
            self._look()
            self._lost(pack_id, handed, "timed out" if handed.timed_out else "died")

    def on_memory_kill(self) -> None:
        """Ray's memory monitor killed a worker, over which Tune stopped all: see whose it was."""
        with self.guard():
            self._look()
            for pack_id, handed in list(self._handed.items()):
                if handed.worker is not None and _ran_out_of_memory(handed.worker):
                    self._lost(pack_id, handed, "out of memory")
                else:
                    self._recovery.on_interrupted(pack_id)
                    self._drop(pack_id)

    def _lost(self, pack_id: int, handed: _Handed, cause: Cause) -> None:
        pack, worker = self._recovery.remaining(pack_id), handed.worker
        action = self._recovery.on_worker_lost(pack_id, cause, took_pack=worker is not None)
        if isinstance(action, Restart):
            handed.worker, handed.heard = None, math.inf
            self._put(pack_id, handed)  # without the members that have ended
            return
        if isinstance(action, Fail):
            self._work.fail_pack(pack, Failure(reason=action.reason, log=_tail_log(worker)))
        self._drop(pack_id)

    def _drop(self, pack_id: int) -> None:
        del self._handed[pack_id]
        self._over.append(pack_id)


def _tail_log(worker: WorkerLocation | None) -> str:
    """What the worker last wrote; nothing, if its node is gone as well."""
    if worker is None:
        return ""
    there = NodeAffinitySchedulingStrategy(node_id=worker.node, soft=False)
    try:
        lines = tail_worker_log.options(scheduling_strategy=there).remote(worker.pid)
        return str(ray.get(lines, timeout=TAIL_SECONDS))
    except Exception:
        return ""


def _ran_out_of_memory(worker: WorkerLocation) -> bool:
    """Whether that is what the worker died of."""
    try:
        ray.get(worker.actor.__ray_ready__.remote(), timeout=DEATH_SECONDS)
    except OutOfMemoryError:
        return True
    except Exception:
        return False
    return False


class PackSearcher(Searcher):  # type: ignore[misc]
    """Names packs for Tune to run."""

    def __init__(self, packs: PackRunner) -> None:
        super().__init__()
        self._packs = packs

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles it, and never reads that again."""
        return {}

    def suggest(self, trial_id: str) -> dict[str, int] | str | None:
        """The next pack's id."""
        pack = None
        with self._packs.guard():
            pack = self._packs.next_pack()
            if pack is None and self._packs.is_over():
                return str(Searcher.FINISHED)
        return None if pack is None else {"pack": pack.id}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """The scheduler knows it already."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the results are what a sweep resumes from."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""


class PackScheduler(FIFOScheduler):  # type: ignore[misc]
    """Takes results in and says which packs continue."""

    def __init__(self, packs: PackRunner) -> None:
        super().__init__()
        self._packs = packs

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles it, and never reads that again."""
        return {}

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: Any) -> str:
        """Record the events; whether the pack continues."""
        pack_id, events = trial.config["pack"], list(result["events"])
        result["events"].clear()  # in place: Tune keeps the last result, samples and all
        with self._packs.guard():
            self._packs.on_result(pack_id, events)
        return str(self.CONTINUE if self._packs.wants(pack_id) else self.STOP)

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        """A worker is lost; Tune starts the pack again unless it is no longer wanted."""
        with self._packs.guard():
            self._packs.on_worker_lost(trial.config["pack"])

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Called at each turn of Tune's loop: stop what waits for a worker in vain.

        Tune itself picks from the others.
        """
        with self._packs.guard():
            self._packs.poll()
        for trial in list(tune_controller.get_live_trials()):
            if trial.status == TuneTrial.PENDING and not self._packs.wants(trial.config["pack"]):
                tune_controller.stop_trial(trial)
