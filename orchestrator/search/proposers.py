"""Which trial comes next: a list worked off to its end. (``study`` has the adaptive way.)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tasks.contract import Trial


class Proposer(Protocol):
    """Says which trials to run, and hears how they fare."""

    prunes: bool

    def propose(self, limit: int) -> list[Trial]:
        """Up to ``limit`` further trials; none, if none can be named now."""
        ...

    def is_over(self) -> bool:
        """Whether nothing more will be proposed, whatever is reported."""
        ...

    def total(self) -> int:
        """How many trials there will be, as far as is known."""
        ...

    def observe(self, trial: Trial, at: int, value: float, last: bool) -> bool:
        """A trial's value at a step, its last or not; whether it should stop here."""
        ...

    def finish(self, trial: Trial, value: float | None, stopped: bool) -> None:
        """A trial ended: with its value, or None if it failed."""
        ...


class Capped:
    """Another proposer, up to so many trials: what ``--budget 20trials`` asks for."""

    def __init__(self, inner: Proposer, most: int) -> None:
        self._inner, self._left = inner, most
        self.prunes = inner.prunes

    def propose(self, limit: int) -> list[Trial]:
        """The other's next trials, while some are left to give."""
        taken = self._inner.propose(min(limit, self._left)) if self._left else []
        self._left -= len(taken)
        return taken

    def is_over(self) -> bool:
        """Whether the other's end or the number is reached."""
        return self._left == 0 or self._inner.is_over()

    def cut(self) -> bool:
        """Whether the number kept the other from its end."""
        return self._left == 0 and not self._inner.is_over()

    def total(self) -> int:
        """The other's."""
        return self._inner.total()

    def observe(self, trial: Trial, at: int, value: float, last: bool) -> bool:
        """As the other says."""
        return self._inner.observe(trial, at, value, last)

    def finish(self, trial: Trial, value: float | None, stopped: bool) -> None:
        """For the other to hear."""
        self._inner.finish(trial, value, stopped)


class Listed:
    """A fixed list of trials, each once, in order. It stops exactly at its end."""

    prunes = False

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._trials = list(trials)
        self._next = 0

    def propose(self, limit: int) -> list[Trial]:
        """The next trials of the list."""
        taken = self._trials[self._next : self._next + limit]
        self._next += len(taken)
        return taken

    def is_over(self) -> bool:
        """Whether the list is worked off."""
        return self._next >= len(self._trials)

    def total(self) -> int:
        """The list's length."""
        return len(self._trials)

    def observe(self, trial: Trial, at: int, value: float, last: bool) -> bool:
        """A listed trial always runs to its end."""
        return False

    def finish(self, trial: Trial, value: float | None, stopped: bool) -> None:
        """Nothing depends on how a listed trial ends."""


class Recorded(Listed):
    """Trials that ran before: each runs to its end, or to where a pruner stopped it then."""

    def __init__(self, trials: Sequence[Trial], stops: Mapping[str, int]) -> None:
        """``stops`` has the step after which a trial was stopped, by trial id."""
        super().__init__(trials)
        self._stops = stops
        self.prunes = any(trial.id in stops for trial in trials)

    def observe(self, trial: Trial, at: int, value: float, last: bool) -> bool:
        """Whether the trial was stopped here."""
        return not last and at >= self._stops.get(trial.id, at + 1)
