"""The driver's side of a sweep: hands out packs, takes events in, has results made durable.

The engines know only this object (``engine.Work``); it knows no engine.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Protocol

from orchestrator.execution.engine import (
    NO_WEIGHTS,
    Event,
    Failure,
    Pack,
    StepProgress,
    group_by_key,
)
from orchestrator.execution.measure import Usage
from orchestrator.execution.placement import MEMORY_SHARE
from orchestrator.execution.stages import Origin, StageCache
from orchestrator.execution.step_checks import misspelled
from orchestrator.saving.checkpoints import Checkpoints, TimedStep
from orchestrator.saving.final_weights import Written
from orchestrator.saving.weight_keeper import EndedTrial, WeightKeeper
from orchestrator.search.history import NO_MORE_SEEDS
from orchestrator.search.proposers import Proposer
from results.storage.group_commit import GroupCommit
from results.storage.schema import FIXED
from results.storage.store import SweepStore, TrialResult
from tasks.contract import Stage, Task, Trial

MAX_PACK = 64  # members; a pack is a unit of retry too, so it should not be the whole sweep


class View(Protocol):
    """What watches a sweep run."""

    def pack_started(self, pack: Pack) -> None:
        """A pack was handed to a slot."""
        ...

    def progressed(self, trial: Trial, share: float, next_at: int | None) -> None:
        """A trial is within a step (``engine.StepProgress``)."""
        ...

    def stepped(self, trial: Trial, timed: TimedStep, replayed: bool) -> None:
        """A trial made a step, in this run or (replayed) in an earlier one."""
        ...

    def ended(self, trial: Trial, status: str, value: float | None, reason: str) -> None:
        """A trial ended, and is durable. The thread that wrote it tells."""
        ...

    def stage_progressed(self, stage: Stage, share: float) -> None:
        """So much of a stage is computed; 0 when that begins."""
        ...

    def stage_done(self, stage: Stage, seconds: float | None) -> None:
        """A stage was computed, or read from the disk."""
        ...

    def say(self, line: str) -> None:
        """A line for the user."""
        ...


@dataclass(kw_only=True, slots=True)
class _Active:
    trial: Trial
    started: datetime
    steps: dict[int, TimedStep] = field(default_factory=dict)
    runs: bool = False  # on a worker, its stages there
    is_last_seed: bool = False  # finished, but too far behind for its configuration's other seeds
    weights: Written = NO_WEIGHTS
    row: Mapping[str, Any] = field(default_factory=dict)  # of its result, once it has ended


_End = tuple[_Active, str, Failure | None]  # a trial, its status, and why if it failed


@dataclass(kw_only=True, slots=True)
class Tally:
    """How a run went."""

    finished: int = 0
    stopped: int = 0
    failed: int = 0
    resumed_steps: int = 0
    computed_steps: int = 0


class Coordinator:
    """Implements ``engine.Work`` over a proposer and a store."""

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
        full_packs: int | None = None,
        results_before: Mapping[str, str] = MappingProxyType({}),
        halt: Callable[[], bool] = lambda: False,
    ) -> None:
        """``results_before`` are the statuses of trials that have a result in this sweep."""
        self.deadline, self.full_packs = deadline, full_packs
        self._results_before = results_before
        self.task, self.checkpoints, self.prunes = task, checkpoints, proposer.prunes
        self.tally = Tally()
        self.stages: dict[str, dict[str, Any]] = {}  # that were computed or read
        self.failed_again: dict[str, str] = {}  # reasons, by trial: their earlier results stay
        self.num_kept = 0  # of them: the next run can read them
        self._proposer, self._view, self._halt = proposer, view, halt
        self._results: GroupCommit[_End] = GroupCommit(store.add, self._count)
        self.cache = cache or StageCache(None)
        self._keeper = keeper
        self._num_slots, self._slot_bytes = num_slots, slot_bytes
        self._active: dict[str, _Active] = {}
        self._ready: deque[tuple[Trial, ...]] = deque()
        self._num_packs = 0
        self._some_not_kept = False
        self._columns_checked = False
        self._first: list[Trial] = []  # proposed to be measured, and not yet in a pack
        self._shared_bytes, self._own_share = 0, 1.0  # of a pack; of the task's estimate

    def __enter__(self) -> Coordinator:
        return self

    def __exit__(self, *_: object) -> None:
        """Write what has not ended as interrupted. All results are durable and counted then."""
        cut = [a for a in self._active.values() if a.trial.id not in self._results_before]
        try:
            if cut and self._results.is_open():
                for active in cut:
                    self._take_back_uses(active)  # the run that ends the trial counts them
                ends: list[_End] = [(active, "interrupted", None) for active in cut]
                self._results.put([(self._result(*end), end) for end in ends])
        finally:
            self._results.close()

    def is_complete(self) -> bool:
        """Whether every trial that there is has ended."""
        left = self._active or self._ready or self._first
        return not left and self._proposer.is_over()

    def num_running(self) -> int:
        """Trials that a worker runs now."""
        return sum(active.runs for active in list(self._active.values()))

    # --- packs ------------------------------------------------------------------------------------

    def next_pack(self) -> Pack | None:
        """The next pack; grids in a few large ones that fill the slots, searches one by one."""
        if self._halt():
            return None
        if not self._ready:
            self._ready.extend(self._form_packs())
        if not self._ready:
            return None
        pack = self._start(self._ready.popleft())
        self._view.pack_started(pack)
        return pack

    def _start(self, trials: tuple[Trial, ...]) -> Pack:
        self._num_packs += 1
        pack = Pack(id=self._num_packs, trials=trials)
        now = datetime.now(UTC)
        for trial in pack.trials:
            self._active[trial.id] = _Active(trial=trial, started=now)
        return pack

    def pack_runs(self, pack: Pack) -> None:
        """A worker runs this pack, whose stages are there."""
        for trial in pack.trials:
            if trial.id in self._active:
                self._runs(self._active[trial.id])

    def _runs(self, active: _Active) -> None:
        """This trial has what its stages give: that is what counts as a use."""
        if not active.runs:
            active.runs = True
            for stage in self.task.stages(active.trial):
                if stage.key in self.stages:
                    self.stages[stage.key]["uses"] += 1

    def _take_back_uses(self, active: _Active) -> None:
        for stage in self.task.stages(active.trial) if active.runs else ():
            if stage.key in self.stages:
                self.stages[stage.key]["uses"] -= 1

    def split(self, pack: Pack, among: Collection[str] | None = None) -> list[Pack]:
        """Each member (of these ids) that has not ended as a pack of its own."""
        packs = []
        for trial in pack.trials:
            if trial.id in self._active and (among is None or trial.id in among):
                self._num_packs += 1
                packs.append(Pack(id=self._num_packs, trials=(trial,)))
        return packs

    def _propose(self) -> list[Trial]:
        return self._proposer.propose(1 if self._proposer.prunes else MAX_PACK * self._num_slots)

    def _form_packs(self) -> list[tuple[Trial, ...]]:
        proposed = self._first or self._propose()
        self._first = []
        packs: list[tuple[Trial, ...]] = []
        whole = _kept_whole(self.task)
        for group in group_by_key(self.task, proposed).values():
            size = MAX_PACK if whole else min(MAX_PACK, math.ceil(len(group) / self._num_slots))
            size = min(size, self._most_that_fit(group))
            packs += [tuple(group[i : i + size]) for i in range(0, len(group), size)]
        return packs

    def _most_that_fit(self, group: Sequence[Trial]) -> int:
        """Members that a slot's memory has room for, by the task's estimate or as measured."""
        if self._slot_bytes is None:
            return len(group)
        largest = max(self.task.num_bytes(trial) for trial in group) * self._own_share
        return max(1, int((MEMORY_SHARE * self._slot_bytes - self._shared_bytes) / max(1, largest)))

    def is_over(self) -> bool:
        """Whether no pack will come any more."""
        return self._halt() or (not self._ready and not self._first and self._proposer.is_over())

    def should_halt(self) -> bool:
        """Whether to stop now, leaving checkpoints behind."""
        return self._halt()

    # --- measuring --------------------------------------------------------------------------------

    def trial_to_measure(self) -> Trial | None:
        """The largest of those that come first, by the task's estimate; it stays to be run."""
        if self._halt():
            return None
        self._first = self._first or self._propose()
        return max(self._first, key=self.task.num_bytes, default=None)

    def measured(self, trial: Trial, events: Sequence[Event], usage: Usage | None) -> None:
        """That trial made a step, saved, and used so much memory.

        What a trial uses beyond the task's estimate is taken as shared by a pack: its features.
        """
        if usage is not None:
            estimate, own = max(1, self.task.num_bytes(trial)), usage.peak - usage.base
            self._shared_bytes = usage.base + max(0, own - estimate)
            self._own_share = min(1.0, own / estimate)
        if any(isinstance(e.outcome, Failure) or e.outcome.step.done for e in events):
            self._first.remove(trial)
            self.record(self._start((trial,)), events)

    def resize(self, num_slots: int, slot_bytes: int | None, line: str) -> None:
        """From now on there are so many slots of so much memory; a line that tells the user."""
        self._num_slots, self._slot_bytes = num_slots, slot_bytes
        self._view.say(line)

    # --- events -----------------------------------------------------------------------------------

    def record(self, pack: Pack, events: Sequence[Event]) -> set[str]:
        """Keep the steps; have what ended made durable, then counted; name whom to stop.

        Raises:
            StoreError: if an earlier result could not be written.
        """
        self._results.check()
        ended: list[_End] = []
        stop: set[str] = set()
        for event in events:
            active = self._active.get(event.trial_id)
            if active is None:
                continue  # ended before, in a pack that was tried again
            if isinstance(event.outcome, Failure):
                ended.append((active, "failed", event.outcome))
                del self._active[event.trial_id]
                continue
            active.weights = event.weights
            if self._keeper is not None:
                self._keeper.written(event.weights)
            status, reason = self._stepped(active, event.outcome, event.replayed)
            if status is not None:
                ended.append((active, status, reason))
                del self._active[event.trial_id]
                if not event.outcome.step.done:
                    stop.add(event.trial_id)
        for active, status, error in ended:
            value = None if error else self._value(active)
            self._proposer.finish(active.trial, value, stopped=status == "stopped")
        if ended:
            self._results.put([(self._result(*end), end) for end in ended])
        return stop

    def _stepped(
        self, active: _Active, timed: TimedStep, replayed: bool
    ) -> tuple[str | None, Failure | None]:
        step = timed.step
        self._runs(active)
        active.steps[step.at] = timed
        if replayed:
            self.tally.resumed_steps += 1
        else:
            self.tally.computed_steps += 1
        self._view.stepped(active.trial, timed, replayed)
        bad = [name for name, value in step.metrics.items() if not math.isfinite(value)]
        if bad:
            reason = f"{bad[0]} is {step.metrics[bad[0]]} at step {step.at}"
            return "failed", Failure(reason=reason, log="")
        if step.done and self.task.metric.name not in step.metrics:
            reason = f"its last step, {step.at}, has no {self.task.metric.name}"
            return "failed", Failure(reason=reason, log="")
        taken = sorted(FIXED["samples"].keys() & (step.samples or {}).keys())
        if taken:
            reason = f"its samples have a column {taken[0]!r}, which is reserved: rename the column"
            return "failed", Failure(reason=reason, log="")
        value = step.metrics.get(self.task.metric.name)  # not every step need measure it
        halve = value is not None and self._proposer.observe(
            active.trial, step.at, float(value), step.done
        )
        if step.done:
            active.is_last_seed = halve
            self._check_columns(active)
            return "finished", None
        return ("stopped", None) if halve else (None, None)

    def _check_columns(self, active: _Active) -> None:
        """Once: warn of a column whose metric looks misspelled, and would stay empty."""
        if self._columns_checked:
            return
        self._columns_checked = True
        reported = {name for timed in active.steps.values() for name in timed.step.metrics}
        for line in misspelled(self.task.columns, reported):
            self._view.say(line)

    def fail_pack(self, pack: Pack, error: Failure) -> None:
        """What is left of a pack failed as a whole: its worker is gone past all retries."""
        self.record(pack, [Event(trial_id=trial.id, outcome=error) for trial in pack.trials])

    def stage_done(self, stage: Stage, origin: Origin) -> None:
        """A stage was computed, or read from the disk."""
        row = {"key": stage.key, "label": stage.label, "seconds": origin.seconds, "uses": 0}
        self.stages[stage.key] = row | {"source": origin.source}
        self._view.stage_done(stage, origin.seconds)
        self.num_kept += origin.is_kept
        if origin.not_kept and not self._some_not_kept:
            self._some_not_kept = True
            self._view.say(
                f"Stage {stage.label} is not kept: {origin.not_kept}. If this run is interrupted, "
                "the next one computes it again."
            )

    def stage_progressed(self, stage: Stage, share: float) -> None:
        """So much of a stage is computed; 0 when that begins."""
        self._view.stage_progressed(stage, share)

    def progressed(self, progress: StepProgress) -> None:
        """A pack is within a step; a report on a step that has ended meanwhile is ignored."""
        for trial_id, num_steps in progress.num_steps.items():
            active = self._active.get(trial_id)
            if active is not None and len(active.steps) == num_steps:
                self._view.progressed(active.trial, progress.share, progress.next_at)

    # --- results ----------------------------------------------------------------------------------

    def _value(self, active: _Active) -> float | None:
        """The main metric as it was last measured."""
        steps = [active.steps[at] for at in sorted(active.steps)]
        name = self.task.metric.name
        told = [s.step.metrics[name] for s in steps if name in s.step.metrics]
        return float(told[-1]) if told else None

    def _count(self, ended: Sequence[_End]) -> None:
        """These are durable: their checkpoints can go, and weights that they surpass.

        Called by the thread that wrote them.
        """
        for active, status, error in ended:
            if status == "interrupted":
                continue  # it goes on from its checkpoint
            setattr(self.tally, status, getattr(self.tally, status) + 1)
            self.checkpoints.drop(active.trial.id)
            value = None if error else self._value(active)
            self._view.ended(active.trial, status, value, error.reason if error else "")
        if self._keeper is not None:
            self._keeper.add(
                EndedTrial(
                    row=active.row,
                    num_bytes=active.weights.num_bytes,
                    has_weights=active.weights.num_bytes > 0,
                )
                for active, status, _ in ended
                if status != "interrupted" and active.trial.id not in self.failed_again
            )

    def _result(self, active: _Active, status: str, error: Failure | None) -> TrialResult:
        trial = active.trial
        steps = [active.steps[at] for at in sorted(active.steps)]
        row: dict[str, Any] = {
            "trial_id": trial.id,
            "seed": trial.seed,
            "status": status,
            "reason": error.reason if error else NO_MORE_SEEDS if active.is_last_seed else None,
            "log": error.log if error else None,
            "reused_from": None,
            "model": trial.model.name,
            "model_fingerprint": trial.model.fingerprint,
            "data": trial.data.name,
            "data_fingerprint": trial.data.fingerprint,
            "version": trial.version,
            "started": active.started,
            "ended": datetime.now(UTC),
            "seconds": sum(s.seconds for s in steps),
            "num_steps": len(steps),
            **{f"param.{name}": value for name, value in trial.param_values().items()},
        }
        if steps:
            row |= {f"metric.{k}": float(v) for k, v in steps[-1].step.metrics.items()}
            row |= best_values(steps, self.task.metric.name, self.task.metric.direction)
        rows = [
            {
                "trial_id": trial.id,
                "seed": trial.seed,
                "at": s.step.at,
                "seconds": s.seconds,
                **{f"metric.{k}": float(v) for k, v in s.step.metrics.items()},
            }
            for s in steps
        ]
        samples = steps[-1].step.samples if steps else None
        if status == "failed" and self._results_before.get(trial.id) == "finished":
            rows, samples = [], None  # the earlier result stands, and so do its steps
            self.failed_again[trial.id] = row["reason"]
        active.row = row
        return TrialResult(trial=row, steps=rows, samples=samples)


def full_packs(task: Task, trials: Sequence[Trial]) -> int:
    """How many packs these trials make where each is as large as it may be."""
    groups = group_by_key(task, trials).values()
    return sum(math.ceil(len(group) / MAX_PACK) for group in groups)


def most_packs(task: Task, trials: Sequence[Trial]) -> int:
    """How many packs these trials can make, if every slot there could be were free."""
    return full_packs(task, trials) if _kept_whole(task) else len(trials)


def _kept_whole(task: Task) -> bool:
    return bool(getattr(task, "shares_steps", False))


def best_values(steps: Sequence[TimedStep], metric: str, direction: str) -> Mapping[str, float]:
    """All metrics of the step that is best by the task's metric, as ``best.<name>``."""
    sign = 1.0 if direction == "maximize" else -1.0
    told = [s for s in steps if metric in s.step.metrics]
    finite = [s for s in told if math.isfinite(s.step.metrics[metric])]
    if not finite:
        return {}
    best = max(finite, key=lambda s: sign * s.step.metrics[metric])
    return {f"best.{k}": float(v) for k, v in best.step.metrics.items()}
