"""``Run``: one run of a plan, with its store, checkpoints, weights and caches."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.control.drivers import new_driver
from orchestrator.control.listener import Listener
from orchestrator.control.steering import Steering
from orchestrator.execution.coordinator import Coordinator
from orchestrator.execution.halting import Budget
from orchestrator.execution.stages import StageCache
from orchestrator.planning.params import param_types
from orchestrator.running.earlier_results import EarlierResults
from orchestrator.running.manifest import make_manifest, replay_manifest, with_origin_of
from orchestrator.running.notify import Notifier
from orchestrator.running.plan import Plan
from orchestrator.running.sweep_weights import SweepWeights
from orchestrator.saving.checkpoints import Checkpoints
from orchestrator.search.history import PastConfiguration, open_history, read_history
from orchestrator.search.invalid import invalid_row
from orchestrator.search.searchers import FixedTrials, RecordedTrials, Searcher
from orchestrator.tracking.tracker import TrackedSweep, TrackedTrial
from orchestrator.tracking.tracking import Tracking
from results.redaction import redact
from results.storage.manifest import Manifest
from results.storage.reading import Sweep, read_sweep
from results.storage.store import SweepStore, TrialResult
from tasks.contract import Scalar, Trial

if TYPE_CHECKING:
    from orchestrator.search.function import InvalidConfigurationError


class Run:
    """One run of a plan, with everything that it reads and writes."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.request = plan, plan.request
        self.started = datetime.now(UTC)
        self.budget = Budget(plan.request.budget)
        self.steering = Steering(self.budget.set_paused)
        self.notifier = Notifier(url=plan.request.notify, sweep=f"{plan.task.name}/{plan.name}")
        self.tracking = Tracking(
            # A search writes its journal itself.
            [name for name in plan.request.track if name != "optuna" or not plan.space.search],
            tracked_sweep(plan),
            shown_samples=plan.task.shown_samples,
        )
        self.num_invalid = 0  # invalid configurations that the search sampled in this run
        self.coordinators: list[Coordinator] = []
        self.sweep: Sweep | None = None  # as it is after the trials
        self.control: Listener | None = None  # while other processes can steer the run
        self.is_complete = False  # whether no trial is left to run
        self.can_detach = False  # whether the caller can start the sweep again in the background
        self.logged = b""  # the log as uploaded so far
        self.is_detached = False  # whether it halts to go on in the background
        before = plan.manifest_before
        self.num_left_out = (
            before.num_left_out if before else 0
        )  # configurations that a search will not run
        self.earlier = EarlierResults(plan)  # before anything is written: it may raise
        self._types = {
            name: {str: "str", float: "float", int: "int", bool: "bool"}[kind]
            for name, (kind, _) in param_types(plan.task.Params).items()
        }
        out, sweep = plan.request.out.rstrip("/"), f"{plan.task.name}/{plan.name}"
        metrics = [c.key for c in plan.task.columns if c.key.startswith("metric.")]
        self.store = SweepStore(plan.request.out, plan.task.name, plan.name, self._types, metrics)
        # A search must find its interrupted trials, and a replay must not find those of others.
        own = plan.space.search is not None or plan.recorded is not None
        self.weights = SweepWeights(plan)
        self.checkpoints = Checkpoints(
            f"{out}/.checkpoints" + (f"/{sweep}" if own else ""), self.weights.target
        )
        self.cache = StageCache(plan.request.cache, f"{out}/.stages/{sweep}")

    def follow(self, other: Run) -> None:
        """Share the pause, the stop and the progress of the run that waits for this one."""
        other.budget.lift_time_limit()
        self.budget, self.steering, self.control = other.budget, other.steering, other.control

    def detach(self) -> str:
        """Halt so that the command can start the sweep again in the background.

        Returns:
            A line for the user.
        """
        if not self.can_detach:
            return "d works only for the command `sweep`"
        request = self.request
        if request.rerun or request.budget or request.budget_trials or request.statuses_to_retry:
            return "d does not work with --rerun, --retry-... and --budget, which would start over"
        self.is_detached = True
        self._stop()
        return "moving to the background after the current steps"

    def toggle_pause(self) -> str:
        """Pause or resume the sweep; return a line for the user."""
        if self.steering.is_paused:
            self.steering.resume()
            return "resumed"
        self.steering.pause()
        return "trials hold after their current step"

    def _stop(self) -> None:
        """Halt as at the first Ctrl-C."""
        self.budget.interrupted = True

    @property
    def log_name(self) -> str:
        """The name of the log of this run, in the folder ``logs`` of the sweep."""
        return f"{self.started:%Y-%m-%dT%H-%M-%S}.log"

    def listener(self) -> Listener:
        """Return the thread that lets other processes watch and steer this run."""
        sweep = f"{self.plan.task.name}/{self.plan.name}"
        log = redact(f"{self.request.out.rstrip('/')}/{sweep}/logs/{self.log_name}")
        driver = new_driver(sweep, self.request.engine, log)
        return Listener(
            self.store.filesystem, self.store.path, driver, self.steering, self._stop, self.budget
        )

    def num_running(self) -> int:
        """Return the number of trials that workers run now."""
        return sum(each.num_running() for each in self.coordinators)

    def is_held(self) -> bool:
        """Return whether the workers hold all trials because the sweep is paused."""
        return all(each.is_held() for each in self.coordinators)

    def num_left(self) -> int | None:
        """Return how many trials this run may still start; None without such a ``--budget``."""
        most = self.request.budget_trials
        runs = [each.stats for each in self.coordinators]
        started = sum(
            stats.finished + stats.stopped + stats.failed + stats.cancelled for stats in runs
        )
        return None if most is None else most - started

    def reuse_results(self) -> list[Trial]:
        """Copy results of other sweeps, and return the planned trials that must still run."""
        to_run = self.earlier.reuse(self.plan.trials, self.store, self.checkpoints)
        self._drop_stale_checkpoints({trial.id for trial in to_run})
        return to_run

    def unfinished(self) -> list[Trial]:
        """Return the trials that the next run would run; of a search, those that it interrupted."""
        if self.plan.space.search is None:
            return [trial for trial in self.plan.trials if self.earlier.runs_again(trial)]
        return [
            self.plan.factory.trial(configuration.params, seed)
            for configuration in self._past()
            for seed, trial in configuration.trials.items()
            if trial.status == "interrupted"
        ]

    def _drop_stale_checkpoints(self, to_run: set[str]) -> None:
        """Delete checkpoints of finished trials, which a killed driver may have left."""
        left = self.checkpoints.trial_ids()
        failed = {row["trial_id"] for row in self.earlier.failed}  # --retry-failed may resume them
        done = {trial.id for trial in self.plan.trials} - to_run - failed
        for trial_id in left & (done if self.plan.trials else self.earlier.finished()):
            self.checkpoints.delete(trial_id)

    def to_run_again(self) -> list[Trial]:
        """Return the trials of a complete sweep that ``--keep`` selects but have no weights."""
        if not self.is_complete or self.budget() or self.num_left() == 0:
            return []
        self.earlier.read()
        sweep = read_sweep(self.request.out, self.plan.task.name, self.plan.name)
        return self.weights.to_run_again(sweep)

    def manifest(self, seconds: float) -> Manifest:
        """Return the content of ``sweep.json`` after a run of some seconds."""
        made = make_manifest(self.plan, self._types, self.started, seconds)
        if self.plan.recorded is not None:
            made = replay_manifest(made, self.plan.recorded)
        made = dataclasses.replace(made, num_left_out=self.num_left_out)
        before = self.plan.manifest_before
        if before and self.is_complete and not self.coordinators:
            made = with_origin_of(made, before)  # no trial ran in the current environment
        return made

    # --- searchers --------------------------------------------------------------------------------

    def searcher(self, to_run: Sequence[Trial]) -> Searcher:
        """Return the searcher: a fixed list of trials, or an Optuna study."""
        if self.plan.recorded is not None:
            return RecordedTrials(to_run, self.plan.recorded.stops)
        if self.plan.space.search is None:
            return FixedTrials(to_run)
        from orchestrator.search.optuna_searcher import OptunaSearcher

        study = OptunaSearcher(
            search=self.plan.space.search,
            factory=self.plan.factory,
            seeds=self.plan.seeds,
            num_configurations=self.request.trials,
            direction=self.plan.task.metric.direction,
            objectives=self.plan.objectives,
            sampler=self.request.sampler,
            pruner=self.request.pruner,
            known=lambda trial: self.earlier.find_finished(trial, self.store, self.checkpoints),
            on_invalid=self._add_invalid,
        )
        study.learn_from(self.plan.learned.trials if self.request.learn_from else [])
        study.restore(self._past())
        return study

    def _past(self) -> list[PastConfiguration]:
        """Return the configurations that this search ran before; none with ``--rerun``."""
        interrupted = self.checkpoints.interrupted_trials()
        if self.request.rerun:
            for one in interrupted:
                self.checkpoints.delete(one.trial_id)
            return []
        return read_history(
            open_history(self.request.out, self.plan.task.name, self.plan.name),
            self.plan.task.metric.name,
            interrupted,
            without=self.request.statuses_to_retry,
        )

    def _add_invalid(self, error: InvalidConfigurationError) -> None:
        """Store one row for an invalid configuration, in place of its trials."""
        self.num_invalid += 1
        row = invalid_row(error, self.plan.factory, self.plan.seeds[0])
        self.store.add([TrialResult(trial=row, steps=[], samples=None)])


def tracked_sweep(plan: Plan) -> TrackedSweep:
    """Return the description of a sweep for trackers."""
    # Short, as the user wrote it, but for ~, which the store expands too.
    out, metric = os.path.expanduser(plan.request.out).rstrip("/"), plan.task.metric
    values: dict[str, dict[Scalar, None]] = {}
    for trial in plan.trials if plan.request.track else ():
        for name, value in TrackedTrial.of(trial).parameters.items():
            values.setdefault(name, {})[value] = None
    return TrackedSweep(
        task=plan.task.name,
        name=plan.name,
        folder=None if "://" in out else f"{out}/{plan.task.name}/{plan.name}",
        metric=metric.name,
        maximize=metric.direction == "maximize",
        is_rerun=plan.request.rerun,
        parameters={name: list(each) for name, each in values.items()},
    )
