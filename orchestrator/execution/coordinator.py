"""Hands out packs, records their events and writes their results.

Engines call the coordinator. It knows nothing about engines.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from orchestrator.control.commands import Answer
from orchestrator.control.steering import Cancellation, Steering
from orchestrator.execution.events import Event, Failure, Pack, StepProgress, describe
from orchestrator.execution.listener import TrialListener
from orchestrator.execution.measure import Usage
from orchestrator.execution.packing import Packing, min_num_packs
from orchestrator.execution.stage_demand import StageDemand
from orchestrator.execution.stage_log import StageLog
from orchestrator.execution.stages import Origin, StageCache
from orchestrator.execution.step_checks import misspelled_columns, step_error
from orchestrator.execution.trial_results import RunningTrial
from orchestrator.execution.unstarted import UnstartedTrials, find_trial
from orchestrator.execution.view import View
from orchestrator.saving.checkpoint_writer import DEFAULT_INTERVAL
from orchestrator.saving.checkpoints import Checkpoints, TimedStep
from orchestrator.saving.weight_keeper import EndedTrial, WeightKeeper
from orchestrator.search.searchers import Searcher
from results.storage.group_commit import GroupCommit
from results.storage.store import SweepStore, TrialResult
from tasks.contract import Stage, Task, Trial

logger = logging.getLogger(__name__)
_EndedTrial = tuple[RunningTrial, str, Failure | None]  # trial, status, failure


@dataclass(kw_only=True, slots=True)
class RunStats:
    """The number of trials that ended in this run, by status, and of steps."""

    finished: int = 0
    stopped: int = 0
    failed: int = 0
    cancelled: int = 0
    resumed_steps: int = 0
    computed_steps: int = 0


class Coordinator:
    """Connects the searcher, the engine and the store of results."""

    def __init__(
        self,
        *,
        task: Task,
        searcher: Searcher,
        store: SweepStore,
        checkpoints: Checkpoints,
        num_workers: int,
        view: View,
        cache: StageCache | None = None,
        keeper: WeightKeeper | None = None,
        worker_memory: int | None = None,
        step_timeout: float | None = None,
        checkpoint_interval: float = DEFAULT_INTERVAL,
        trials: Sequence[Trial] | None = None,
        results_before: Mapping[str, str] = MappingProxyType({}),
        should_halt: Callable[[], bool] = lambda: False,
        steering: Steering | None = None,
        listener: TrialListener | None = None,
    ) -> None:
        """Create a coordinator for one run of a sweep.

        Args:
            task: the task whose trials run.
            searcher: suggests the trials to run.
            store: where results are written.
            checkpoints: where checkpoints are written.
            num_workers: the number of packs that run at the same time.
            view: shows the progress.
            cache: where values of shared stages are saved.
            keeper: decides which weights to delete.
            worker_memory: bytes of memory per worker, None if unknown.
            step_timeout: the seconds that a step or a shared stage may take, None for no limit.
            checkpoint_interval: the seconds between two checkpoints of a trial.
            trials: all trials that will run; None for a search.
            results_before: the statuses of trials that already have a result in this sweep.
            should_halt: returns whether to stop the sweep now.
            steering: pauses the sweep and cancels trials.
            listener: receives every step and every result.
        """
        self.task, self.checkpoints = task, checkpoints
        self.cache = cache or StageCache(None)
        self.is_adaptive = searcher.is_adaptive  # whether ``record`` may stop members early
        self.checkpoint_interval, self.step_timeout = checkpoint_interval, step_timeout
        # The number of packs if each is as large as allowed; None for a search.
        self.min_num_packs = None if trials is None else min_num_packs(task, trials)
        self.stats = RunStats()
        self.stages, self.demand = StageLog(task), StageDemand(task, trials)
        # Trial id -> reason. These trials failed in a rerun and keep their earlier results.
        self.failed_again: dict[str, str] = {}
        self._results_before = results_before
        self._searcher, self._view, self._should_halt = searcher, view, should_halt
        self._results: GroupCommit[_EndedTrial] = GroupCommit(store.add, self._on_written)
        self._keeper = keeper
        self._packing = Packing(task, num_workers, worker_memory)
        self._running: dict[str, RunningTrial] = {}
        self._ready: deque[tuple[Trial, ...]] = deque()
        self._first: list[Trial] = []  # suggested for the memory measurement, not yet in a pack
        self._num_packs = 0
        self._columns_checked = False
        self.steering = steering or Steering()
        self._confirmed_pause = 0  # the number of the last pause in which nothing new can start
        self._has_ended = False
        self._listener = listener or TrialListener()
        self._unstarted = UnstartedTrials(trials)

    def __enter__(self) -> Coordinator:
        return self

    def __exit__(self, *_: object) -> None:
        """Write the trials that have not ended as interrupted, and wait for all writes."""
        self._has_ended = True
        interrupted = [
            running
            for running in self._running.values()
            if running.trial.id not in self._results_before
        ]
        try:
            if interrupted and self._results.is_open():
                for running in interrupted:
                    if running.uses_stages:  # the run that ends the trial counts its stages
                        self.stages.count_use(running.trial, -1)
                self._write([(running, "interrupted", None) for running in interrupted])
        finally:
            self._results.close()

    def is_complete(self) -> bool:
        """Return whether all trials have ended."""
        unfinished = self._running or self._ready or self._first
        return not unfinished and self._searcher.is_exhausted()

    def is_exhausted(self) -> bool:
        """Return whether ``next_pack`` will return no more packs."""
        return self._should_halt() or (
            not self._ready and not self._first and self._searcher.is_exhausted()
        )

    def should_halt(self) -> bool:
        """Return whether to stop now, because of an interrupt or the budget."""
        return self._should_halt()

    def is_paused(self) -> bool:
        """Return whether packs must wait before their next step, and no new ones start."""
        return self.steering.is_paused and not self._should_halt()

    def mark_held(self, trials: Iterable[Trial]) -> None:
        """Record that a worker holds these trials because the sweep is paused."""
        for trial in trials:
            if trial.id in self._running:
                self._running[trial.id].held_in = self.steering.num_pauses

    def confirm_pause(self) -> None:
        """Record that from now on, only trials that are marked as running may compute a step.

        Until then, a worker may have taken trials of which the driver does not know yet.
        """
        self._confirmed_pause = self.steering.num_pauses

    def is_held(self) -> bool:
        """Return whether nothing is computed during this pause: the workers hold all trials."""
        if self._has_ended:
            return True
        pause = self.steering.num_pauses
        on_worker = [each for each in list(self._running.values()) if each.is_on_worker]
        return self._confirmed_pause == pause and all(each.held_in == pause for each in on_worker)

    def num_running(self) -> int:
        """Return the number of trials that workers are running."""
        return sum(running.is_on_worker for running in list(self._running.values()))

    # --- packs ------------------------------------------------------------------------------------

    def next_pack(self) -> Pack | None:
        """Return the next pack, None if there is none now.

        A grid is split into a few large packs that fill the workers; a search has packs of one.
        """
        if self._should_halt() or self.is_paused():
            return None
        while not self._ready:
            trials, self._first = self._first or self._suggest(), []
            if not trials:
                break
            self._ready.extend(self._packing.form(self._without_cancelled(trials)))
        if not self._ready:
            return None
        pack = self._start(self._ready.popleft())
        logger.info("%s", describe(pack))
        self._view.pack_started(pack)
        return pack

    def _suggest(self) -> list[Trial]:
        trials = self._searcher.suggest(1 if self.is_adaptive else self._packing.capacity)
        self._unstarted.on_suggested(trials)
        return trials

    def _without_cancelled(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return the trials that were not cancelled before the searcher suggested them."""
        for trial in filter(self._unstarted.is_cancelled, trials):
            self._searcher.on_trial_complete(trial, None, stopped=False)
        return [trial for trial in trials if not self._unstarted.is_cancelled(trial)]

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
        """Return a pack of one trial for each unfinished member (of ``among``, if given)."""
        return [
            self._new_pack((trial,))
            for trial in pack.trials
            if trial.id in self._running and (among is None or trial.id in among)
        ]

    def mark_running(self, pack: Pack) -> None:
        """Record that a worker runs this pack. Its stages are computed."""
        for trial in pack.trials:
            if trial.id in self._running:
                self._mark_on_worker(self._running[trial.id])

    def _mark_on_worker(self, running: RunningTrial) -> None:
        running.is_on_worker = True
        if not running.uses_stages:
            running.uses_stages = True
            self.stages.count_use(running.trial)

    def mark_waiting(self, trials: Iterable[Trial]) -> None:
        """Record that no worker runs these trials now: they wait to run again."""
        for trial in trials:
            if trial.id in self._running:
                self._running[trial.id].is_on_worker = False

    # --- memory measurement -----------------------------------------------------------------------

    def trial_to_measure(self) -> Trial | None:
        """Return the first trial with the largest estimated memory; it still has to run."""
        if self._should_halt():
            return None
        self._first = self._first or self._without_cancelled(self._suggest())
        return max(self._first, key=self.task.estimate_memory, default=None)

    def is_to_measure(self, trial: Trial) -> bool:
        """Return whether a trial from ``trial_to_measure`` was not cancelled meanwhile."""
        return trial in self._first

    def on_measured(self, trial: Trial, events: Sequence[Event], usage: Usage | None) -> None:
        """Use the measured memory to form packs, and record the trial if its step ended it."""
        if usage is not None:
            self._packing.use_measurement(trial, usage)
        if any(isinstance(e.outcome, Failure) or e.outcome.step.done for e in events):
            self._first.remove(trial)
            self.record(self._start((trial,)), events)

    def resize(self, num_workers: int, worker_memory: int | None, line: str) -> None:
        """Set the number of workers and the memory of each, and print ``line``."""
        self._packing.resize(num_workers, worker_memory)
        self._view.print_line(line)

    # --- events -----------------------------------------------------------------------------------

    def record(self, pack: Pack, events: Sequence[Event]) -> set[str]:
        """Record the events of a pack and write the results of trials that ended.

        Returns the ids of the members to stop.

        Raises:
            StoreError: if an earlier result could not be written.
        """
        self._results.check()
        ended: list[_EndedTrial] = []
        stop: set[str] = set()
        for event in events:
            running = self._running.get(event.trial_id)
            if running is None:
                continue  # the trial has ended already, and the pack was retried
            running.worker = event.worker or running.worker
            reason: Failure | None
            if isinstance(event.outcome, Failure):
                status, reason = "failed", event.outcome
            else:
                running.weights = event.weights
                if self._keeper is not None:
                    self._keeper.on_saved(event.weights)
                status, reason = self._record_step(running, event.outcome, event.replayed)
                if status and not event.outcome.step.done:
                    stop.add(event.trial_id)
            if status:
                if reason is not None:
                    logger.info("trial %s failed: %s", event.trial_id, reason.reason)
                ended.append((running, status, reason))
                del self._running[event.trial_id]
                self.demand.end(running.trial)
        for running, status, error in ended:
            metrics = None if error else running.last_metrics()
            self._searcher.on_trial_complete(running.trial, metrics, status == "stopped")
        self._write(ended)
        return stop

    # --- cancelled trials -------------------------------------------------------------------------

    def cancel_trials(self) -> set[str]:
        """Cancel the trials that users asked for; return the ids of those in a started pack."""
        running: set[str] = set()
        for request in self.steering.take_cancellations():
            try:
                trial = find_trial(request.trial, self._unfinished())
            except LookupError as error:
                request.answer(Answer(done=False, message=str(error)))
                continue
            if trial.id in self._running:
                running.add(trial.id)
            self._cancel(trial, request)
        return running

    def _unfinished(self) -> Iterator[Trial]:
        """Return the trials that users may cancel."""
        yield from (running.trial for running in self._running.values())
        yield from (trial for pack in self._ready for trial in pack)
        yield from (*self._first, *self._unstarted)

    def _cancel(self, trial: Trial, request: Cancellation) -> None:
        """End a trial. If it had not started, it never will."""
        was_suggested = not self._unstarted.cancel(trial)
        running = self._running.pop(trial.id, None)
        self._first = [each for each in self._first if each.id != trial.id]
        packs = (tuple(t for t in pack if t.id != trial.id) for pack in self._ready)
        self._ready = deque(pack for pack in packs if pack)
        if running is None:
            self.demand.start(trial)
        self.demand.end(trial)
        if was_suggested:  # otherwise when the searcher suggests it
            self._searcher.on_trial_complete(trial, None, stopped=False)
        ended = running or RunningTrial(trial=trial, started=datetime.now(UTC))
        failure = Failure(reason=request.reason, log="")
        logger.info("trial %s cancelled: %s", trial.id, request.reason)
        self._write([(ended, "cancelled", failure)])
        request.answer(Answer(done=True, message="is cancelled", trial_id=trial.id))

    def is_new(self, event: Event) -> bool:
        """Return whether a trial made this step for the first time.

        A worker that replaces a lost one may repeat steps.
        """
        if event.replayed or isinstance(event.outcome, Failure):
            return False
        running = self._running.get(event.trial_id)
        return running is not None and event.outcome.step.at not in running.steps

    def fail_pack(self, pack: Pack, error: Failure) -> None:
        """Record that the unfinished members of a pack failed."""
        failed = (Event(trial_id=trial.id, outcome=error, worker="") for trial in pack.trials)
        self.record(pack, list(failed))

    def _record_step(
        self, running: RunningTrial, timed: TimedStep, replayed: bool
    ) -> tuple[str, Failure | None]:
        """Return the trial's status if this step ends it, otherwise "", and its failure if any."""
        step = timed.step
        self._mark_on_worker(running)
        running.steps[step.at] = timed
        if replayed:
            self.stats.resumed_steps += 1
        else:
            self.stats.computed_steps += 1
        self._view.stepped(running.trial, timed, replayed)
        self._listener.stepped(running)
        reason = step_error(step, self.task.metric.name)
        if reason:
            return "failed", Failure(reason=reason, log="")
        value = step.metrics.get(self.task.metric.name)  # only the last step must have it
        should_stop = value is not None and self._searcher.on_trial_result(
            running.trial, step.at, float(value), step.done
        )
        if step.done:
            running.is_last_seed = should_stop
            self._check_columns(running)
            return "finished", None
        return ("stopped" if should_stop else ""), None

    def _check_columns(self, running: RunningTrial) -> None:
        """Warn once about columns whose metric looks misspelled and is never reported."""
        if self._columns_checked:
            return
        self._columns_checked = True
        reported = {name for timed in running.steps.values() for name in timed.step.metrics}
        for line in misspelled_columns(self.task.columns, reported, self.task.metric_params):
            self._view.print_line(line)

    def progressed(self, progress: StepProgress) -> None:
        """Show the progress of a pack within its step, unless the step has ended."""
        for trial_id, num_steps in progress.num_steps.items():
            running = self._running.get(trial_id)
            if running is not None and len(running.steps) == num_steps:
                self._view.progressed(running.trial, progress.share, progress.next_at)

    def stage_done(self, stage: Stage, origin: Origin) -> None:
        """Record that a stage was computed or loaded."""
        logger.info("stage %s: %s", stage.label, origin.source)
        warning = self.stages.add(stage, origin)
        self._view.stage_done(stage, origin.seconds)
        if warning:
            self._view.print_line(warning)

    def stage_progressed(self, stage: Stage, share: float) -> None:
        """Show the progress of a stage, from 0 to 1; 0 when its computation starts."""
        self._view.stage_progressed(stage, share)

    # --- results ----------------------------------------------------------------------------------

    def _write(self, ended: Sequence[_EndedTrial]) -> None:
        if ended:
            self._results.put([(self._result(*end), end) for end in ended])

    def _result(self, running: RunningTrial, status: str, error: Failure | None) -> TrialResult:
        result = running.result(status, error, self.task.metric)
        if status == "cancelled" and self._results_before.get(running.trial.id) == "finished":
            return TrialResult(trial=result.trial, steps=[], samples=None)  # keep the earlier one
        if status == "failed" and self._results_before.get(running.trial.id) == "finished":
            # Keep the earlier result and its steps.
            self.failed_again[running.trial.id] = running.row["reason"]
            return TrialResult(trial=result.trial, steps=[], samples=None, log=result.log)
        return result

    def _on_written(self, ended: Sequence[_EndedTrial]) -> None:
        """Count durable results, delete their checkpoints and the weights no longer kept.

        A trial that could not read or write its checkpoint keeps it for ``--retry-failed``.

        The thread that writes results calls this.
        """
        for running, status, error in ended:
            self._listener.ended(running)
            if status == "interrupted":
                continue  # keeps its checkpoint
            setattr(self.stats, status, getattr(self.stats, status) + 1)
            if error is None or not error.of_storage:
                self.checkpoints.delete(running.trial.id)
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
