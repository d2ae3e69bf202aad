"""Estimates the remaining time of shared stages. Does not read the clock (see ``time_left``)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean

from tasks.contract import Stage


@dataclass(kw_only=True, slots=True)
class RunningStage:
    """A running stage."""

    stage: Stage
    start: float  # time of submission; with Ray, its process starts later
    share: float = 0.0  # completed part, 0 to 1
    updated: float  # time of the last report
    first: tuple[float, float] | None = None  # share and time of the first report above 0

    def seconds(self) -> float | None:
        """Return the estimated total seconds from its progress, None if unknown."""
        if self.first is None or self.share <= self.first[0] or self.updated <= self.first[1]:
            return None
        return (self.updated - self.first[1]) / (self.share - self.first[0])

    def left(self, estimate: float, now: float) -> float:
        """Return the remaining seconds if the stage takes ``estimate`` seconds in total."""
        since = self.updated if self.share > 0 else self.start
        return max(0.0, estimate * (1 - self.share) - (now - since))


@dataclass(kw_only=True, slots=True)
class StagesLeft:
    """Receives the events of stages and estimates the remaining seconds.

    The estimate for a stage is the mean of measured stages with the same function, otherwise of all
    measured stages.
    """

    expected: dict[str, Stage] = field(default_factory=dict)  # by key
    running: dict[str, RunningStage] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)  # by key
    last_done: float = -math.inf
    _measured: dict[str, list[float]] = field(default_factory=dict)  # by the function's name

    def expect(self, stages: Iterable[Stage]) -> None:
        """Add stages that will be needed, unless they are computed already."""
        new = {stage.key: stage for stage in stages if stage.key not in self.finished}
        self.expected |= new

    def progressed(self, stage: Stage, share: float, now: float) -> None:
        """Record the progress of a stage, from 0 to 1; 0 when its computation starts."""
        known = self.running.get(stage.key)
        if known is None or share < known.share:  # new, or restarted after a lost worker
            known = self.running[stage.key] = RunningStage(stage=stage, start=now, updated=now)
        known.share, known.updated = share, now
        if share > 0 and known.first is None:
            known.first = (share, now)

    def done(self, stage: Stage, seconds: float | None, now: float) -> None:
        """Record that a stage was computed in ``seconds``, or loaded (None)."""
        self.running.pop(stage.key, None)
        self.expected.pop(stage.key, None)
        self.finished.add(stage.key)
        self.last_done = now
        self._measured.setdefault(_kind(stage), []).append(seconds or 0.0)

    @property
    def num_done(self) -> int:
        """The number of stages that were computed or loaded."""
        return len(self.finished)

    def num_left(self) -> int:
        """Return the number of stages that are running or expected."""
        return len(self.expected.keys() | self.running.keys())

    def seconds_left(self, num_workers: int, now: float) -> float | None:
        """Return the seconds for all running and expected stages, None if nothing was measured."""
        left: list[float] = []
        for key in self.expected.keys() | self.running.keys():
            running = self.running.get(key)
            stage = running.stage if running else self.expected[key]
            seconds = (running.seconds() if running else None) or self._estimate(stage)
            if seconds is None:
                return None
            left.append(running.left(seconds, now) if running else seconds)
        return max(max(left), sum(left) / num_workers) if left else 0.0

    def _estimate(self, stage: Stage) -> float | None:
        running: dict[str, list[float]] = {}
        for other in self.running.values():
            seconds = other.seconds()
            if seconds is not None:
                running.setdefault(_kind(other.stage), []).append(seconds)
        for found in (self._measured, running):
            if _kind(stage) in found:
                return fmean(found[_kind(stage)])
        every = [s for found in (self._measured, running) for each in found.values() for s in each]
        return fmean(every) if every else None


def _kind(stage: Stage) -> str:
    return stage.function.__qualname__
