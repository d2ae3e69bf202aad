"""``StudyJournal``: a file that ``optuna-dashboard`` opens while a sweep writes to it."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from orchestrator.planning.objectives import Direction
from orchestrator.search.pruners import LEARNED
from results.storage.atomic_write import atomic_file


class StudyJournal:
    """Appends an Optuna study to a journal file. Only one process may do so.

    The file is a view of the results: nothing reads it back but ``--track optuna``.
    """

    def __init__(self, path: str, name: str, directions: Sequence[Direction]) -> None:
        """Replace the file by a study without trials."""
        with atomic_file(path) as temporary:
            storage = JournalStorage(JournalFileBackend(str(temporary)))
            optuna.create_study(storage=storage, study_name=name, directions=directions)
        self._storage = JournalStorage(_Backend(path))
        self._study = self._storage.get_study_id_from_name(name)

    def add(self, trial: FrozenTrial) -> int:
        """Add a trial in any state; return its id in the journal."""
        return self._storage.create_new_trial(self._study, template_trial=trial)

    def report(self, trial_id: int, step: int, value: float) -> None:
        """Add a step to a trial that has not finished."""
        self._storage.set_trial_intermediate_value(trial_id, step, value)

    def set_user_attr(self, trial_id: int, name: str, value: Any) -> None:
        """Set an attribute of a trial that has not finished."""
        self._storage.set_trial_user_attr(trial_id, name, value)

    def set_state(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> None:
        """Set the state of a trial that has not finished, and its values if it has them."""
        self._storage.set_trial_state_values(trial_id, state, values)

    def update(self, trial_id: int, before: FrozenTrial, now: FrozenTrial) -> None:
        """Add what has changed in a trial since ``before``."""
        for name in now.params.keys() - before.params.keys():
            kind = now.distributions[name]
            value = kind.to_internal_repr(now.params[name])
            self._storage.set_trial_param(trial_id, name, value, kind)
        for step in now.intermediate_values.keys() - before.intermediate_values.keys():
            self.report(trial_id, step, now.intermediate_values[step])
        for name, value in now.user_attrs.items():
            if before.user_attrs.get(name) != value:
                self.set_user_attr(trial_id, name, value)
        for name, value in now.system_attrs.items():
            if before.system_attrs.get(name) != value:
                self._storage.set_trial_system_attr(trial_id, name, value)
        if now.state != before.state:
            self.set_state(trial_id, now.state, now.values)


class StudyMirror:
    """Appends to a journal what changes in a study in memory."""

    def __init__(self, journal: StudyJournal) -> None:
        self._journal = journal
        #: The id in the journal, and the trial as it was written, by ``FrozenTrial.number``.
        self._written: dict[int, tuple[int, FrozenTrial]] = {}

    def write(self, trials: Iterable[FrozenTrial], *, is_last: bool = False) -> None:
        """Append the changes.

        Args:
            trials: all trials of the study. They may change meanwhile.
            is_last: whether the study does not go on; running trials then wait for another run.
        """
        for trial in trials:
            known = self._written.get(trial.number)
            if known is not None and known[1].state.is_finished():
                continue
            if LEARNED in trial.user_attrs:  # of another sweep
                continue
            now = _snapshot(trial)
            if known is None:
                trial_id = self._journal.add(now)
            else:
                trial_id, before = known
                self._journal.update(trial_id, before, now)
            self._written[trial.number] = trial_id, now
            if is_last and now.state is TrialState.RUNNING:
                self._journal.set_state(trial_id, TrialState.WAITING)


def _snapshot(trial: FrozenTrial) -> FrozenTrial:
    """Copy a trial, which the thread of the search may change in place."""
    now = copy.copy(trial)
    params = trial.params.copy()  # before the distributions, which Optuna sets first
    now.distributions = trial.distributions.copy()
    now.params = {name: each for name, each in params.items() if name in now.distributions}
    now.intermediate_values = trial.intermediate_values.copy()
    now.user_attrs, now.system_attrs = trial.user_attrs.copy(), trial.system_attrs.copy()
    return now


def read_journal(path: str, name: str) -> list[FrozenTrial]:
    """Return the trials of a study in a journal file; none if it is missing or damaged."""
    if not os.path.exists(path):  # Optuna would create an empty file
        return []
    try:
        study = optuna.load_study(study_name=name, storage=JournalStorage(_Backend(path)))
        return study.get_trials(deepcopy=False)
    except (KeyError, OSError, ValueError):
        return []


class _Backend(BaseJournalBackend):
    """A journal file without the lock and the disk synchronization of each line.

    One process appends to it, and the results are durable elsewhere.
    """

    def __init__(self, path: str) -> None:
        self._path, self._reader = path, JournalFileBackend(path)

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self._reader.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with open(self._path, "ab") as file:
            file.write(lines.encode())
