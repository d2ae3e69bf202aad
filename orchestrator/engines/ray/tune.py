"""The searcher and the scheduler for Ray Tune. A Tune trial is a pack."""

from __future__ import annotations

from typing import Any

import orchestrator.engines.ray.settings  # noqa: F401  before Ray

# isort: split
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from orchestrator.execution.dispatcher import Dispatcher


class PackSearcher(Searcher):  # type: ignore[misc]
    """Suggests packs by id: None while there is no pack to run, FINISHED at the end."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()
        self._dispatcher = dispatcher

    def __getstate__(self) -> dict[str, Any]:
        """Return an empty state: Tune saves it but never restores it."""
        return {}

    def suggest(self, trial_id: str) -> dict[str, int] | str | None:
        """Return the ``config`` of the next Tune trial."""
        with self._dispatcher.capture_errors():
            pack_id = self._dispatcher.next_pack()
            if pack_id is not None:
                return {"pack": pack_id}
            if self._dispatcher.is_exhausted():
                return str(Searcher.FINISHED)
        return None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Do nothing: the scheduler has recorded the events."""


class PackScheduler(FIFOScheduler):  # type: ignore[misc]
    """Records events and stops packs: those that have ended, and all of them on a halt."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()
        self._dispatcher = dispatcher

    def __getstate__(self) -> dict[str, Any]:
        """Return an empty state: Tune saves it but never restores it."""
        return {}

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: Any) -> str:
        """Record the events of a pack and decide whether it continues."""
        pack_id, saved, events = trial.config["pack"], result["saved"], list(result["events"])
        result["events"].clear()  # in place, because Tune keeps the last result in memory
        with self._dispatcher.capture_errors():
            if result.get("held"):
                self._dispatcher.on_held(pack_id, result["held"])
            else:
                self._dispatcher.on_result(pack_id, events)
        is_continuing = self._dispatcher.should_continue(pack_id, saved=saved)
        return str(self.CONTINUE if is_continuing else self.STOP)

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Handle a lost worker. Tune restarts its pack afterwards."""
        with self._dispatcher.capture_errors():
            self._dispatcher.on_worker_lost(trial.config["pack"])

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Stop pending packs that must not run; Tune chooses among the others.

        Tune calls this in every iteration of its loop.
        """
        with self._dispatcher.capture_errors():
            self._dispatcher.poll()
        for trial in list(tune_controller.get_live_trials()):
            pending = trial.status == TuneTrial.PENDING
            if pending and not self._dispatcher.should_continue(trial.config["pack"]):
                tune_controller.stop_trial(trial)
