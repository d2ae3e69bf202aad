"""The interface of searchers, and fixed lists of trials. (See also ``optuna_searcher``.)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tasks.contract import Trial


class Searcher(Protocol):
    """Suggests trials to run, and receives their results."""

    is_adaptive: bool  # whether ``on_trial_result`` may stop trials

    def suggest(self, limit: int) -> list[Trial]:
        """Return at most ``limit`` new trials, none if there are none now."""
        ...

    def is_exhausted(self) -> bool:
        """Return whether ``suggest`` will return no more trials."""
        ...

    def total(self) -> int:
        """Return the expected total number of trials."""
        ...

    def on_trial_result(self, trial: Trial, at: int, value: float, last: bool) -> bool:
        """Record the main metric at a step; return whether to stop the trial.

        ``last`` is set for the trial's last step.
        """
        ...

    def on_trial_complete(
        self, trial: Trial, metrics: Mapping[str, float] | None, stopped: bool
    ) -> None:
        """Record the metrics of a trial's last step, None if it failed."""
        ...


class MaxTrials:
    """Limits the number of trials of another searcher (``--budget 20trials``)."""

    def __init__(self, searcher: Searcher, max_trials: int) -> None:
        self._searcher, self._num_left = searcher, max_trials
        self.is_adaptive = searcher.is_adaptive

    def suggest(self, limit: int) -> list[Trial]:
        """Return new trials of the other searcher, up to the limit."""
        trials = self._searcher.suggest(min(limit, self._num_left)) if self._num_left else []
        self._num_left -= len(trials)
        return trials

    def is_exhausted(self) -> bool:
        """Return whether the limit is reached or the other searcher is exhausted."""
        return self._num_left == 0 or self._searcher.is_exhausted()

    def is_limit_reached(self) -> bool:
        """Return whether the limit was reached before the other searcher was exhausted."""
        return self._num_left == 0 and not self._searcher.is_exhausted()

    def total(self) -> int:
        """Return the total of the other searcher."""
        return self._searcher.total()

    def on_trial_result(self, trial: Trial, at: int, value: float, last: bool) -> bool:
        """Pass the result to the other searcher."""
        return self._searcher.on_trial_result(trial, at, value, last)

    def on_trial_complete(
        self, trial: Trial, metrics: Mapping[str, float] | None, stopped: bool
    ) -> None:
        """Pass the result to the other searcher."""
        self._searcher.on_trial_complete(trial, metrics, stopped)


class FixedTrials:
    """A fixed list of trials, which run once each and in order."""

    is_adaptive = False

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._trials = list(trials)
        self._next = 0

    def suggest(self, limit: int) -> list[Trial]:
        """Return the next trials of the list."""
        trials = self._trials[self._next : self._next + limit]
        self._next += len(trials)
        return trials

    def is_exhausted(self) -> bool:
        """Return whether all trials were suggested."""
        return self._next >= len(self._trials)

    def total(self) -> int:
        """Return the length of the list."""
        return len(self._trials)

    def on_trial_result(self, trial: Trial, at: int, value: float, last: bool) -> bool:
        """Return False: no trial of a list is stopped."""
        return False

    def on_trial_complete(
        self, trial: Trial, metrics: Mapping[str, float] | None, stopped: bool
    ) -> None:
        """Do nothing: the list does not depend on results."""


class RecordedTrials(FixedTrials):
    """Trials of an earlier sweep. Each is stopped at the step where it was stopped then."""

    def __init__(self, trials: Sequence[Trial], stops: Mapping[str, int]) -> None:
        """``stops`` maps the id of a stopped trial to its last step."""
        super().__init__(trials)
        self._stops = stops
        self.is_adaptive = any(trial.id in stops for trial in trials)

    def on_trial_result(self, trial: Trial, at: int, value: float, last: bool) -> bool:
        """Return whether the earlier sweep stopped the trial at this step."""
        return not last and at >= self._stops.get(trial.id, at + 1)
