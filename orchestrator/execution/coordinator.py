"""The driver's side of a sweep: hands out packs, takes events in, has results made durable.

The engines know only this object; it knows no engine.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from orchestrator.execution.events import Event, Failure, Pack, StepProgress, describe
from orchestrator.execution.measure import Usage
from orchestrator.execution.packing import Packing, full_packs
from orchestrator.execution.stage_demand import StageDemand
from orchestrator.execution.stage_log import StageLog
from orchestrator.execution.stages import Origin, StageCache
from orchestrator.execution.step_checks import misspelled, unusable
from orchestrator.execution.trial_results import RunningTrial
from orchestrator.execution.view import View
from orchestrator.saving.checkpoint_writer import INTERVAL
from orchestrator.saving.checkpoints import Checkpoints, TimedStep
from orchestrator.saving.weight_keeper import EndedTrial, WeightKeeper
from orchestrator.search.proposers import Proposer
from results.storage.group_commit import GroupCommit
from results.storage.store import SweepStore, TrialResult
from tasks.contract import Stage, Task, Trial

logger = logging.getLogger(__name__)
_End = tuple[RunningTrial, str, Failure | None]  # a trial, its status, and why if it failed


@dataclass(kw_only=True, slots=True)
class Tally:
    """How a run went."""

    finished: int = 0
    stopped: int = 0
    failed: int = 0
    resumed_steps: int = 0
    computed_steps: int = 0


class Coordinator:
    """Connects what proposes trials, the engine that runs them, and the store of results."""

    def __init__(
        self,
        *,
        task: Task,
        proposer: Proposer,
        store: SweepStore,
        checkpoints: Checkpoints,
        num_slots: int,
        view: View,
        cache: StageCache | None = None,
        keeper: WeightKeeper | None = None,
        slot_bytes: int | None = None,
        deadline: float | None = None,
        checkpoint_interval: float = INTERVAL,
        trials: Sequence[Trial] | None = None,
        results_before: Mapping[str, str] = MappingProxyType({}),
        halt: Callable[[], bool] = lambda: False,
    ) -> None:
        """``trials`` are all that will run, None for a search.

        ``results_before`` are the statuses of trials that have a result in this sweep.
        """
        self.task, self.checkpoints = task, checkpoints
        self.cache = cache or StageCache(None)
        self.prunes = proposer.prunes  # whether ``record`` may ask to stop members
        self.checkpoint_interval = checkpoint_interval  # seconds
        self.deadline = deadline  # seconds that a step or a stage may take
        # Packs that there are where each is as large as it may be; None for a search.
        self.full_packs = None if trials is None else full_packs(task, trials)
        self.tally = Tally()
        self.stages, self.demand = StageLog(task), StageDemand(task, trials)
        self.failed_again: dict[str, str] = {}  # reasons, by trial: their earlier results stay
        self._results_before = results_before
        self._proposer, self._view, self._halt = proposer, view, halt
        self._results: GroupCommit[_End] = GroupCommit(store.add, self._count)
        self._keeper = keeper
        self._packing = Packing(task, num_slots, slot_bytes)
        self._running: dict[str, RunningTrial] = {}
        self._ready: deque[tuple[Trial, ...]] = deque()
        self._first: list[Trial] = []  # proposed to be measured, and not yet in a pack
        self._num_packs = 0
        self._columns_checked = False

    def __enter__(self) -> Coordinator:
        return self

    def __exit__(self, *_: object) -> None:
        """Write what has not ended as interrupted. All results are durable and counted then."""
        cut = [a for a in self._running.values() if a.trial.id not in self._results_before]
        try:
            if cut and self._results.is_open():
                for running in cut:
                    if running.runs:  # the run that ends the trial counts its uses
                        self.stages.count_use(running.trial, -1)
                self._write([(running, "interrupted", None) for running in cut])
        finally:
            self._results.close()

    def is_complete(self) -> bool:
        """Whether every trial that there is has ended."""
        left = self._running or self._ready or self._first
        return not left and self._proposer.is_over()

    def is_over(self) -> bool:
        """Whether no pack will come any more, whatever is reported."""
        return self._halt() or (not self._ready and not self._first and self._proposer.is_over())

    def should_halt(self) -> bool:
        """Whether to stop now (interrupted, or out of budget), leaving checkpoints behind."""
        return self._halt()

    def num_running(self) -> int:
        """Trials that a worker runs now."""
        return sum(running.runs for running in list(self._running.values()))

    # --- packs ------------------------------------------------------------------------------------

    def next_pack(self) -> Pack | None:
        """The next pack, or None: nothing more now, and nothing ever once all have ended.

        Grids come in a few large packs that fill the workers, searches one by one.
        """
        if self._halt():
            return None
        if not self._ready:
            trials, self._first = self._first or self._propose(), []
            self._ready.extend(self._packing.form(trials))
        if not self._ready:
            return None
        pack = self._start(self._ready.popleft())
        logger.info("%s", describe(pack))
        self._view.pack_started(pack)
        return pack

    def _propose(self) -> list[Trial]:
        return self._proposer.propose(1 if self.prunes else self._packing.capacity)

    def _start(self, trials: tuple[Trial, ...]) -> Pack:
        now = datetime.now(UTC)
        for trial in trials:
            self._running[trial.id] = RunningTrial(trial=trial, started=now)
            self.demand.start(trial)
        return self._new_pack(trials)

    def _new_pack(self, trials: tuple[Trial, ...]) -> Pack:
        self._num_packs += 1
        return Pack(id=self._num_packs, trials=trials)

    def split(self, pack: Pack, among: Collection[str] | None = None) -> list[Pack]:
        """Each member (of these ids) that has not ended as a pack of its own."""
        return [
            self._new_pack((trial,))
            for trial in pack.trials
            if trial.id in self._running and (among is None or trial.id in among)
        ]

    def pack_runs(self, pack: Pack) -> None:
        """A worker runs this pack, whose stages are there."""
        for trial in pack.trials:
            if trial.id in self._running:
                self._runs(self._running[trial.id])

    def _runs(self, running: RunningTrial) -> None:
        """This trial has what its stages give: that is what counts as a use."""
        if not running.runs:
            running.runs = True
            self.stages.count_use(running.trial)

    # --- measuring --------------------------------------------------------------------------------

    def trial_to_measure(self) -> Trial | None:
        """The largest of those that come first, by the task's estimate; it stays to be run."""
        if self._halt():
            return None
        self._first = self._first or self._propose()
        return max(self._first, key=self.task.estimate_memory, default=None)

    def measured(self, trial: Trial, events: Sequence[Event], usage: Usage | None) -> None:
        """That trial made a step, saved, and used so much memory."""
        if usage is not None:
            self._packing.measured(trial, usage)
        if any(isinstance(e.outcome, Failure) or e.outcome.step.done for e in events):
            self._first.remove(trial)
            self.record(self._start((trial,)), events)

    def resize(self, num_slots: int, slot_bytes: int | None, line: str) -> None:
        """Set the number of workers and the memory of each; ``line`` informs the user."""
        self._packing.resize(num_slots, slot_bytes)
        self._view.say(line)

    # --- events -----------------------------------------------------------------------------------

    def record(self, pack: Pack, events: Sequence[Event]) -> set[str]:
        """Keep the steps, and have what ended made durable; the ids of members to stop.

        Raises:
            StoreError: if an earlier result could not be written.
        """
        self._results.check()
        ended: list[_End] = []
        stop: set[str] = set()
        for event in events:
            running = self._running.get(event.trial_id)
            if running is None:
                continue  # ended before, in a pack that was tried again
            reason: Failure | None
            if isinstance(event.outcome, Failure):
                status, reason = "failed", event.outcome
            else:
                running.weights = event.weights
                if self._keeper is not None:
                    self._keeper.written(event.weights)
                status, reason = self._stepped(running, event.outcome, event.replayed)
                if status and not event.outcome.step.done:
                    stop.add(event.trial_id)
            if status:
                if reason is not None:
                    logger.info("trial %s failed: %s", event.trial_id, reason.reason)
                ended.append((running, status, reason))
                del self._running[event.trial_id]
                self.demand.end(running.trial)
        for running, status, error in ended:
            value = None if error else running.value(self.task.metric.name)
            self._proposer.finish(running.trial, value, stopped=status == "stopped")
        self._write(ended)
        return stop

    def is_new(self, event: Event) -> bool:
        """Whether a trial makes this step for the first time, not again after a lost worker."""
        if event.replayed or isinstance(event.outcome, Failure):
            return False
        running = self._running.get(event.trial_id)
        return running is not None and event.outcome.step.at not in running.steps

    def fail_pack(self, pack: Pack, error: Failure) -> None:
        """What is left of the pack failed as a whole: its worker is gone past all retries."""
        self.record(pack, [Event(trial_id=trial.id, outcome=error) for trial in pack.trials])

    def _stepped(
        self, running: RunningTrial, timed: TimedStep, replayed: bool
    ) -> tuple[str, Failure | None]:
        """How this step ends the trial, if it does: the status, and why if it failed."""
        step = timed.step
        self._runs(running)
        running.steps[step.at] = timed
        if replayed:
            self.tally.resumed_steps += 1
        else:
            self.tally.computed_steps += 1
        self._view.stepped(running.trial, timed, replayed)
        reason = unusable(step, self.task.metric.name)
        if reason:
            return "failed", Failure(reason=reason, log="")
        value = step.metrics.get(self.task.metric.name)  # not every step need measure it
        is_behind = value is not None and self._proposer.observe(
            running.trial, step.at, float(value), step.done
        )
        if step.done:
            running.is_last_seed = is_behind
            self._check_columns(running)
            return "finished", None
        return ("stopped" if is_behind else ""), None

    def _check_columns(self, running: RunningTrial) -> None:
        """Once: warn of a column whose metric looks misspelled, and would stay empty."""
        if self._columns_checked:
            return
        self._columns_checked = True
        reported = {name for timed in running.steps.values() for name in timed.step.metrics}
        for line in misspelled(self.task.columns, reported):
            self._view.say(line)

    def progressed(self, progress: StepProgress) -> None:
        """A pack is within a step; a report on a step that has ended meanwhile is ignored."""
        for trial_id, num_steps in progress.num_steps.items():
            running = self._running.get(trial_id)
            if running is not None and len(running.steps) == num_steps:
                self._view.progressed(running.trial, progress.share, progress.next_at)

    def stage_done(self, stage: Stage, origin: Origin) -> None:
        """A stage was computed, or read from the disk."""
        logger.info("stage %s: %s", stage.label, origin.source)
        warning = self.stages.add(stage, origin)
        self._view.stage_done(stage, origin.seconds)
        if warning:
            self._view.say(warning)

    def stage_progressed(self, stage: Stage, share: float) -> None:
        """So much of a stage is computed; 0 when that begins."""
        self._view.stage_progressed(stage, share)

    # --- results ----------------------------------------------------------------------------------

    def _write(self, ended: Sequence[_End]) -> None:
        if ended:
            self._results.put([(self._result(*end), end) for end in ended])

    def _result(self, running: RunningTrial, status: str, error: Failure | None) -> TrialResult:
        result = running.result(status, error, self.task.metric)
        if status == "failed" and self._results_before.get(running.trial.id) == "finished":
            # The earlier result stays, and so do its steps.
            self.failed_again[running.trial.id] = running.row["reason"]
            return TrialResult(trial=result.trial, steps=[], samples=None, log=result.log)
        return result

    def _count(self, ended: Sequence[_End]) -> None:
        """These are durable: their checkpoints can go, and weights that they surpass.

        Called by the thread that wrote them.
        """
        for running, status, error in ended:
            if status == "interrupted":
                continue  # it continues from its checkpoint
            setattr(self.tally, status, getattr(self.tally, status) + 1)
            self.checkpoints.drop(running.trial.id)
            value = None if error else running.value(self.task.metric.name)
            self._view.ended(running.trial, status, value, error.reason if error else "")
        if self._keeper is not None:
            self._keeper.add(
                EndedTrial(
                    row=running.row,
                    num_bytes=running.weights.num_bytes,
                    has_weights=running.weights.num_bytes > 0,
                )
                for running, status, _ in ended
                if status != "interrupted" and running.trial.id not in self.failed_again
            )
