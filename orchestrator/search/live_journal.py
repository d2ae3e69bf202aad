"""``LiveJournal``: writes a search to ``optuna-journal.log`` while it runs. Imports Optuna."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from optuna import Study

from orchestrator.planning.objectives import Direction
from orchestrator.search.journal import StudyJournal, StudyMirror

logger = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between two updates
MAX_SHARE = 0.05  # of the time that updates may take


class LiveJournal:
    """A thread that writes what changes in a study. An error ends it, not the search."""

    def __init__(self, study: Study, directions: Sequence[Direction], path: str, name: str) -> None:
        """Prepare the thread.

        Args:
            study: a study in memory.
            directions: whether to minimize or maximize each of its metrics.
            path: the file of the journal, which is replaced.
            name: the name of the study in the journal.
        """
        self._study = study
        self._arguments = path, name, directions
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="optuna journal", daemon=True)

    def __enter__(self) -> LiveJournal:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write the last changes."""
        self._is_closed.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            mirror = StudyMirror(StudyJournal(*self._arguments))
            wait = 0.0
            while not self._is_closed.wait(wait):
                began = time.monotonic()
                mirror.write(self._study.get_trials(deepcopy=False))
                wait = max(INTERVAL, (time.monotonic() - began) / MAX_SHARE)
            mirror.write(self._study.get_trials(deepcopy=False), is_last=True)
        except Exception:
            logger.warning("optuna-journal.log is incomplete", exc_info=True)
