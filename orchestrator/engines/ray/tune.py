"""What Ray Tune asks of us: the next pack, and whether a pack continues. A Tune trial is a pack."""

from __future__ import annotations

from typing import Any

import orchestrator.engines.ray.settings  # noqa: F401  before Ray

# isort: split
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from orchestrator.execution.dispatcher import Dispatcher


class PackSearcher(Searcher):  # type: ignore[misc]
    """Suggests the id of a pack, None while there is no pack to run, FINISHED at the end."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()
        self._dispatcher = dispatcher

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles it, and never reads that again."""
        return {}

    def suggest(self, trial_id: str) -> dict[str, int] | str | None:
        """The next Tune trial's ``config``."""
        with self._dispatcher.guard():
            pack_id = self._dispatcher.next_pack()
            if pack_id is not None:
                return {"pack": pack_id}
            if self._dispatcher.is_over():
                return str(Searcher.FINISHED)
        return None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """The scheduler knows it already."""


class PackScheduler(FIFOScheduler):  # type: ignore[misc]
    """Takes events in, stops packs that have ended, and every pack on a halt."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()
        self._dispatcher = dispatcher

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles it, and never reads that again."""
        return {}

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: Any) -> str:
        """Record the events; whether the pack continues."""
        pack_id, saved, events = trial.config["pack"], result["saved"], list(result["events"])
        result["events"].clear()  # in place: Tune keeps the last result, samples and all
        with self._dispatcher.guard():
            self._dispatcher.on_result(pack_id, events)
        return str(self.CONTINUE if self._dispatcher.wants(pack_id, saved=saved) else self.STOP)

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        """A worker is lost, and Tune is about to start the pack again."""
        with self._dispatcher.guard():
            self._dispatcher.on_worker_lost(trial.config["pack"])

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Leave the choice to Tune, but stop what waits for a worker in vain.

        Tune calls this at each turn of its loop.
        """
        with self._dispatcher.guard():
            self._dispatcher.poll()
        for trial in list(tune_controller.get_live_trials()):
            pending = trial.status == TuneTrial.PENDING
            if pending and not self._dispatcher.wants(trial.config["pack"]):
                tune_controller.stop_trial(trial)
