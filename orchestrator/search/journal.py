"""Exports an Optuna study to a journal file for ``optuna-dashboard``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial

from orchestrator.planning.objectives import Direction
from orchestrator.search.pruners import LEARNED
from results.storage.atomic_write import atomic_file


def export_journal(
    trials: Sequence[FrozenTrial], directions: Sequence[Direction], path: str, name: str
) -> None:
    """Write the finished trials of a study to a journal file for ``optuna-dashboard PATH``.

    Trials of other sweeps, from which the sampler learned, are left out.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    with atomic_file(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = JournalStorage(JournalFileBackend(str(temporary)))
        study = optuna.create_study(storage=storage, study_name=name, directions=directions)
        own = [trial for trial in trials if LEARNED not in trial.user_attrs]
        study.add_trials([trial for trial in own if trial.state.is_finished()])
