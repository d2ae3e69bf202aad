"""The trials of a fixed list that have not started, some of which users may cancel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tasks.contract import Trial


class UnstartedTrials:
    """The trials that a searcher has still to suggest. A search has none that are known."""

    def __init__(self, trials: Sequence[Trial] | None) -> None:
        """``trials`` are all trials that will run; None for a search."""
        self._left = {trial.id: trial for trial in trials or ()}
        self._cancelled: set[str] = set()  # before they were suggested

    def __iter__(self) -> Iterator[Trial]:
        return iter(self._left.values())

    def on_suggested(self, trials: Iterable[Trial]) -> None:
        """Record that the searcher has suggested these trials."""
        for trial in trials:
            self._left.pop(trial.id, None)

    def cancel(self, trial: Trial) -> bool:
        """Return whether a trial had not been suggested; then ``is_cancelled`` is true for it."""
        is_left = self._left.pop(trial.id, None) is not None
        if is_left:
            self._cancelled.add(trial.id)
        return is_left

    def is_cancelled(self, trial: Trial) -> bool:
        """Return whether a trial was cancelled before the searcher suggested it."""
        return trial.id in self._cancelled


def find_trial(text: str, unfinished: Iterable[Trial]) -> Trial:
    """Return the trial whose id starts with a text.

    Raises:
        LookupError: if there is no such trial, or there are several.
    """
    found = {trial.id: trial for trial in unfinished if trial.id.startswith(text)}
    if len(found) > 1:
        raise LookupError(f"{len(found)} unfinished trials start with {text!r}; give more")
    if not found:
        raise LookupError(f"no unfinished trial starts with {text!r}; `show` lists the others")
    return next(iter(found.values()))
