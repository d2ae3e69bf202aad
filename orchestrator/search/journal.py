"""Exports an Optuna study to a journal file for ``optuna-dashboard``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial

from orchestrator.planning.objectives import Direction
from results.storage.atomic_write import atomic_file


def export_journal(
    trials: Sequence[FrozenTrial], directions: Sequence[Direction], path: str, name: str
) -> None:
    """Write the finished trials of a study to a journal file for ``optuna-dashboard PATH``."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    with atomic_file(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = JournalStorage(JournalFileBackend(str(temporary)))
        study = optuna.create_study(storage=storage, study_name=name, directions=directions)
        study.add_trials([t for t in trials if t.state.is_finished()])
