"""How long the shared stages of a sweep still take. Reads no clock, as ``time_left`` does not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean

from tasks.contract import Stage


@dataclass(kw_only=True, slots=True)
class RunningStage:
    """A stage under way."""

    stage: Stage
    began: float  # under Ray when it was submitted, before its worker has even started
    share: float = 0.0
    updated: float
    first: tuple[float, float] | None = None  # share and time of the first report above 0

    def seconds(self) -> float | None:
        """What it takes in all, by how quickly its share grew from one report to the last."""
        if self.first is None or self.share <= self.first[0] or self.updated <= self.first[1]:
            return None
        return (self.updated - self.first[1]) / (self.share - self.first[0])

    def left(self, estimate: float, now: float) -> float:
        """Seconds that are left of it if it takes ``estimate`` in all."""
        since = self.updated if self.share > 0 else self.began
        return max(0.0, estimate * (1 - self.share) - (now - since))


@dataclass(kw_only=True, slots=True)
class StagesLeft:
    """Takes in the events of stages and estimates the seconds that the others take.

    A stage takes as long as others with the same function did, or as long as any other where none
    of those has been measured.
    """

    expected: dict[str, Stage] = field(default_factory=dict)  # by key
    running: dict[str, RunningStage] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)  # by key
    last_done: float = -math.inf
    _measured: dict[str, list[float]] = field(default_factory=dict)  # by the function's name

    def expect(self, stages: Iterable[Stage]) -> None:
        """These will be needed, if they are not there yet."""
        new = {stage.key: stage for stage in stages if stage.key not in self.finished}
        self.expected |= new

    def progressed(self, stage: Stage, share: float, now: float) -> None:
        """So much of a stage is computed; 0 when that begins."""
        known = self.running.get(stage.key)
        if known is None or share < known.share:  # or its worker was lost
            known = self.running[stage.key] = RunningStage(stage=stage, began=now, updated=now)
        known.share, known.updated = share, now
        if share > 0 and known.first is None:
            known.first = (share, now)

    def done(self, stage: Stage, seconds: float | None, now: float) -> None:
        """A stage was computed in so many seconds, or read from where it was kept."""
        self.running.pop(stage.key, None)
        self.expected.pop(stage.key, None)
        self.finished.add(stage.key)
        self.last_done = now
        self._measured.setdefault(_kind(stage), []).append(seconds or 0.0)

    @property
    def num_done(self) -> int:
        """Stages that were computed or read."""
        return len(self.finished)

    def num_left(self) -> int:
        """Stages that are running or expected."""
        return len(self.expected.keys() | self.running.keys())

    def seconds_left(self, num_workers: int, now: float) -> float | None:
        """For all that are running or expected; None if nothing has been measured."""
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
