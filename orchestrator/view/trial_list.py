"""The latest trials of a run with their curves, for the list that opens with a key."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from orchestrator.view.browser import ListedTrial

MAX_ENDED = 1000  # ended trials to list
MAX_POINTS = 1000  # of a curve; of a longer one, every second point is kept


def thin_out(
    curve: Sequence[tuple[float, float]], num_points: int
) -> tuple[tuple[float, float], ...]:
    """Return at most ``num_points`` points of a curve in equal distances, with the last one."""
    stride = max(1, math.ceil(len(curve) / num_points))
    return tuple(curve[::-1][::stride][::-1])


class TrialList:
    """Remembers ended trials, and the main metric of trials by step."""

    def __init__(self) -> None:
        self._ended: dict[str, ListedTrial] = {}
        self._curves: dict[str, list[tuple[float, float]]] = {}  # by trial id

    def stepped(self, trial_id: str, at: float, value: float) -> None:
        """Add a point. A trial that was moved to another worker may repeat steps."""
        curve = self._curves.setdefault(trial_id, [])
        while curve and curve[-1][0] >= at:
            curve.pop()
        curve.append((at, value))
        if len(curve) > MAX_POINTS:
            del curve[-2::-2]  # not the last one

    def ended(self, trial: ListedTrial) -> None:
        """Add a trial that has ended, and forget the oldest one if there are too many."""
        self._ended[trial.trial_id] = trial
        if len(self._ended) > MAX_ENDED:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            self._curves.pop(oldest, None)

    def all(self, unfinished: Iterable[ListedTrial]) -> list[ListedTrial]:
        """Return running trials, then waiting ones, then ended ones, the last one first."""
        handed = sorted(unfinished, key=lambda trial: trial.status == "waiting")
        return [*handed, *reversed(self._ended.values())]

    def curve(self, trial_id: str) -> list[tuple[float, float]]:
        """Return the main metric of a trial by step, empty if unknown."""
        return self._curves.get(trial_id, [])

    def last_value(self, trial_id: str) -> float | None:
        """Return the last main metric of a trial, None if it was never measured."""
        curve = self._curves.get(trial_id)
        return curve[-1][1] if curve else None
