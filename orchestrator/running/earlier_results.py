"""Finds results of earlier runs, of this sweep and of others, so that no trial runs twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.planning.labels import Configuration, EarlierTrial
from orchestrator.running.plan import Plan
from orchestrator.saving.checkpoints import Checkpoints
from orchestrator.search.history import PastTrial, metrics_of, open_history, read_curves
from results.storage.reading import copy_trials, known_trials
from results.storage.store import SweepStore
from tasks.contract import Trial


class EarlierResults:
    """The results of earlier runs under the same ``--out``."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._out, self._task = plan, plan.request.out, plan.task.name
        self._metric = plan.task.metric.name
        self.failed: list[dict[str, Any]] = []  # rows of planned trials that do not run again
        self.num_cancelled = 0  # planned trials that were cancelled and do not run
        self.on_reuse: Callable[[EarlierTrial], None] = lambda trial: None
        self._curves: dict[str, dict[str, dict[int, float]]] = {}  # by sweep, trial id and step
        self.read()

    def read(self) -> None:
        """Read the results again. A replay reuses only its own."""
        names = () if self._plan.recorded is None else (self._plan.name,)
        self._known = known_trials(self._out, self._task, names, prefer=self._plan.name)

    def reuse(
        self, trials: Sequence[Trial], store: SweepStore, checkpoints: Checkpoints
    ) -> list[Trial]:
        """Copy results of other sweeps to the store, and return the trials that must still run."""
        if self._plan.request.rerun:
            for trial in trials:
                checkpoints.delete(trial.id)
            return list(trials)
        to_run: list[Trial] = []
        self.failed, self.num_cancelled = [], 0
        elsewhere: dict[str, list[str]] = {}
        for trial in trials:
            if self.runs_again(trial):
                to_run.append(trial)
                continue
            sweep, row = self._known[trial.id]
            if row["status"] == "failed":
                self.failed.append(row)
            self.num_cancelled += row["status"] == "cancelled"
            if sweep != self._plan.name:
                elsewhere.setdefault(sweep, []).append(trial.id)
        for sweep, ids in elsewhere.items():
            store.add_tables(copy_trials(self._out, self._task, sweep, ids, into=self._plan.name))
        return to_run

    def runs_again(self, trial: Trial) -> bool:
        """Return whether a planned trial runs (again). It does if a search stopped it early."""
        status = self._known.get(trial.id, ("", {}))[1].get("status")
        stops = self._plan.recorded.stops if self._plan.recorded else {}
        return (
            status is None
            or (status == "stopped" and trial.id not in stops)
            or status in self._plan.request.statuses_to_retry
        )

    def reused(self, to_run: Sequence[Trial]) -> list[EarlierTrial]:
        """Return the plan's trials that do not run again, with their results."""
        left = {trial.id for trial in to_run}
        return [
            self._describe(trial, self._known[trial.id][1])
            for trial in self._plan.trials
            if trial.id not in left
        ]

    def find_finished(
        self, trial: Trial, store: SweepStore, checkpoints: Checkpoints
    ) -> PastTrial | None:
        """Return the result of a trial that finished in another sweep, copied to the store."""
        sweep, row = self._known.get(trial.id, ("", {}))
        is_elsewhere = row.get("status") == "finished" and sweep != self._plan.name
        if self._plan.request.rerun or not is_elsewhere:
            return None
        self.reuse([trial], store, checkpoints)
        self.on_reuse(self._describe(trial, row))
        if sweep not in self._curves:
            tables = open_history(self._out, self._task, sweep)
            self._curves[sweep] = read_curves(tables, self._metric)
        return PastTrial(
            id=trial.id,
            status="finished",
            value=float(row[f"metric.{self._metric}"]),
            metrics=metrics_of(row),
            steps=self._curves[sweep].get(trial.id, {}),
        )

    def finished(self) -> set[str]:
        """Return the ids of the trials that finished in any sweep."""
        return {i for i, (_, row) in self._known.items() if row["status"] == "finished"}

    def statuses(self) -> dict[str, str]:
        """Return the statuses of results here, which a failed --rerun must not replace."""
        trials = open_history(self._out, self._task, self._plan.name).trials
        if not trials.num_rows:
            return {}
        ids, statuses = (trials[name].to_pylist() for name in ("trial_id", "status"))
        pairs = zip(ids, statuses, strict=True)
        return {trial_id: status for trial_id, status in pairs if status != "interrupted"}

    def _describe(self, trial: Trial, row: Mapping[str, Any]) -> EarlierTrial:
        value = row.get(f"metric.{self._metric}")
        return EarlierTrial(
            configuration=Configuration.of(trial), status=row["status"], value=value
        )
