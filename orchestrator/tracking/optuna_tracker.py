"""``--track optuna``: a journal of a grid for ``optuna-dashboard``.

A search writes its journal without it (``orchestrator/search/live_journal.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from orchestrator.planning.objectives import Direction
from orchestrator.tracking.tracker import (
    Report,
    TrackedResult,
    TrackedStep,
    TrackedSweep,
    TrackedTrial,
    Tracker,
)
from tasks.contract import Scalar

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_TRIAL = "trial_id"  # the user attribute with a trial's id


class OptunaTracker(Tracker):
    """Writes the trials of a grid as trials of an Optuna study."""

    def open(self, sweep: TrackedSweep) -> str:
        """Create the journal with the trials of an earlier process."""
        assert sweep.folder is not None  # ``check_options`` refuses a bucket
        path = f"{sweep.folder}/optuna-journal.log"
        self._metric = sweep.metric
        import optuna

        from orchestrator.search.journal import StudyJournal, read_journal

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        earlier = [] if sweep.is_rerun else read_journal(path, sweep.name)
        direction: Direction = "maximize" if sweep.maximize else "minimize"
        self._journal = StudyJournal(path, sweep.name, [direction])
        self._distributions = {
            name: distribution(values) for name, values in sweep.parameters.items()
        }
        #: Trial id -> id in the journal, and the steps that it has, of trials without an end.
        self._known: dict[str, tuple[int, Collection[int]]] = {}
        for trial in earlier:
            number = self._journal.add(trial)
            if not trial.state.is_finished():
                self._known[trial.user_attrs[_TRIAL]] = number, list(trial.intermediate_values)
        return f"optuna-dashboard {path}"

    def start(self, trial: TrackedTrial) -> Collection[int]:
        """Continue the trial, or create it."""
        from optuna.trial import TrialState, create_trial

        if trial.id in self._known:
            number, steps = self._known[trial.id]
            self._journal.set_state(number, TrialState.RUNNING)
            return steps
        names = trial.parameters.keys() & self._distributions.keys()
        made = create_trial(
            state=TrialState.RUNNING,
            params={name: trial.parameters[name] for name in names},
            distributions={name: self._distributions[name] for name in names},
            user_attrs={_TRIAL: trial.id},
        )
        self._known[trial.id] = self._journal.add(made), ()
        return ()

    def log(self, trial: TrackedTrial, steps: Sequence[TrackedStep]) -> None:
        """Write the main metric of each step."""
        for step in steps:
            if self._metric in step.metrics:
                value = step.metrics[self._metric]
                self._journal.report(self._known[trial.id][0], step.at, value)

    def end(self, trial: TrackedTrial, result: TrackedResult) -> None:
        """Write the state, and all metrics as attributes."""
        from optuna.trial import TrialState

        number, _ = self._known[trial.id]
        if result.status == "interrupted":
            self._journal.set_state(number, TrialState.WAITING)
            return
        for name, value in result.metrics.items():
            self._journal.set_user_attr(number, name, value)
        if result.reason:
            self._journal.set_user_attr(number, "reason", result.reason)
        states = {"finished": TrialState.COMPLETE, "stopped": TrialState.PRUNED}
        state = states.get(result.status, TrialState.FAIL)
        last = result.metrics.get(self._metric) if state is not TrialState.FAIL else None
        self._journal.set_state(number, state, None if last is None else [last])
        del self._known[trial.id]

    def close(self, report: Report | None) -> None:
        """Do nothing: the journal has no report."""


def distribution(values: Sequence[Scalar]) -> BaseDistribution:
    """Return the distribution of a parameter that takes these values in a grid."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < len(values) or min(numbers) == max(numbers):
        return CategoricalDistribution(list(dict.fromkeys(values)))
    if all(isinstance(number, int) for number in numbers):
        return IntDistribution(int(min(numbers)), int(max(numbers)))
    return FloatDistribution(min(numbers), max(numbers))


TRACKER = OptunaTracker
