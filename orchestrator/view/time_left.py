"""Estimates the remaining time of a sweep from measured steps and stages.

This module does not read the clock: each event comes with its time in seconds. Work is counted in
units of ``Step.at`` (epochs, images). The length of a trial is the ``at`` of its last step, or 1 if
that is 0. Progress within a step counts too, so there is an estimate after the first report.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.view.stages_left import StagesLeft

PRIOR_WEIGHT = 0.25  # weight of the rate of all packs, relative to a pack's units
MAX_ITEMS = 1000  # queued items per worker; a longer queue is grouped into this number of chunks


@dataclass(kw_only=True, slots=True)
class TrialWork:
    """The progress of a trial, in units of ``Step.at``."""

    total: float | None  # ``at`` of the final step, None if unknown
    at: float = 0  # of the latest step
    start_at: float = 0  # ``at`` at the start of this run
    next_at: float | None = None  # ``at`` of the running step, None if unknown
    share: float = 0  # completed part of the running step, 0 to 1

    def position(self) -> float:
        """Return ``at`` plus the completed part of the running step."""
        next_at = self.at + 1 if self.next_at is None else self.next_at
        return self.at + self.share * max(0.0, next_at - self.at)

    def done(self) -> float:
        """Return the units computed in this run."""
        return self.position() - self.start_at

    def length(self) -> float | None:
        """Return the total units, None if unknown."""
        return None if self.total is None else max(1.0, self.total)

    def share_done(self) -> float:
        """Return the completed part of the trial, 0 if its length is unknown."""
        length = self.length()
        return 0.0 if length is None else min(1.0, self.position() / length)

    def left(self, default_length: float | None) -> float:
        """Return the remaining units; ``default_length`` is used if the length is unknown."""
        length = self.length() or default_length or self.position() + 1
        return max(0.0, length - self.position())


@dataclass(kw_only=True, slots=True)
class _Pack:
    trials: dict[str, TrialWork]
    submitted: float  # time when it was handed to the engine
    start: float | None = None  # time when a worker took it
    first_step: float = 0.0  # time when its first step started
    updated: float = 0.0  # time of its last event
    done_before: float = 0.0  # units of trials that have ended

    def done(self) -> float:
        return self.done_before + sum(trial.done() for trial in self.trials.values())


@dataclass(kw_only=True)
class TimeLeft:
    """Receives the events of a sweep and estimates the remaining seconds."""

    queued: dict[str, float | None] = field(default_factory=dict)  # trial id -> total
    stages: StagesLeft = field(default_factory=StagesLeft)
    _packs: list[_Pack] = field(default_factory=list)
    _seconds: float = 0.0  # of packs that have ended
    _units: float = 0.0  # of packs that have ended
    _lengths: list[float] = field(default_factory=list)  # units of each trial that has ended
    _last_free: float | None = None  # time when a pack last ended and freed its worker

    # --- events -----------------------------------------------------------------------------------

    def pack_started(self, totals: Mapping[str, float | None], now: float) -> None:
        """Add a pack. Its trials may have been in another pack before."""
        for pack in list(self._packs):
            for trial_id in totals.keys() & pack.trials.keys():
                self._take_out(pack, trial_id)
        for trial_id in totals:
            self.queued.pop(trial_id, None)
        trials = {trial_id: TrialWork(total=total) for trial_id, total in totals.items()}
        self._packs.append(_Pack(trials=trials, submitted=now))

    def progressed(self, trial_id: str, share: float, next_at: float | None, now: float) -> None:
        """Record progress within a step."""
        for pack in self._packs:
            if trial_id in pack.trials:
                self._set_start(pack, now, 0.0)
                pack.updated = now
                trial = pack.trials[trial_id]
                trial.share = share
                trial.next_at = trial.next_at if next_at is None else next_at

    def stepped(
        self, trial_id: str, at: float, seconds: float, now: float, replayed: bool = False
    ) -> None:
        """Record a step; ``seconds`` is the pack's time divided by its number of trials.

        ``replayed`` is set for a step of an earlier run.
        """
        for pack in self._packs:
            if trial_id in pack.trials:
                trial = pack.trials[trial_id]
                trial.at, trial.share, trial.next_at = at, 0.0, None
                if replayed:
                    trial.start_at = at
                else:
                    self._set_start(pack, now, seconds * len(pack.trials))
                    pack.updated = now
                    if trial.length() is not None and at == 0:
                        trial.at = 1.0  # a trial with a single step at 0 has length 1

    def ended(self, trial_id: str, now: float) -> None:
        """Record the end of a trial, with any status."""
        for pack in list(self._packs):
            if trial_id in pack.trials:
                self._lengths.append(pack.trials[trial_id].position())
                self._take_out(pack, trial_id)
                if not pack.trials:
                    self._last_free = now

    def _take_out(self, pack: _Pack, trial_id: str) -> None:
        pack.done_before += pack.trials.pop(trial_id).done()
        if not pack.trials:
            self._packs.remove(pack)
            if pack.start is not None:
                self._seconds += pack.updated - pack.start
                self._units += pack.done()

    def _set_start(self, pack: _Pack, now: float, seconds: float) -> None:
        """Set the start of a pack at its first event; its first step started ``seconds`` ago.

        The pack itself starts when a worker is free and its stages are computed.
        """
        if pack.start is not None:
            return
        pack.start = pack.first_step = pack.updated = now - seconds
        if self._last_free is not None:
            ready = max(pack.submitted, self._last_free, self.stages.last_done)
            pack.start = min(pack.start, ready)

    # --- estimates --------------------------------------------------------------------------------

    def trial(self, trial_id: str) -> TrialWork | None:
        """Return the progress of a trial, None if it was not handed to the engine."""
        found = (pack.trials[trial_id] for pack in self._packs if trial_id in pack.trials)
        return next(found, None)

    def seconds_left(self, num_trials: int, num_workers: int, now: float) -> float | None:
        """Return the seconds until all trials have ended, None if no step has been measured.

        Args:
            num_trials: the number of trials that were not handed to the engine yet.
            num_workers: the number of workers.
            now: the current time.
        """
        rate = self._rate()
        if rate is None:
            return None
        default_length = self._mean_length()
        running, waiting = [], []
        for pack in self._packs:
            left = sum(trial.left(default_length) for trial in pack.trials.values())
            if pack.start is None:
                waiting.append(left * rate)
            else:
                pack_rate = _pack_rate(pack, left, rate)
                running.append(max(0.0, left * pack_rate - max(0.0, now - pack.updated)))
        lengths = [total if total else 1.0 for total in self.queued.values() if total is not None]
        lengths += [default_length or 1.0] * max(0, num_trials - len(lengths))
        queued = [length * rate for length in lengths[: max(0, num_trials)]]
        packs = makespan(running, [*waiting, *queued], num_workers)
        stages = self.stages.seconds_left(num_workers, now) or 0.0
        if num_workers == 1 or not running:
            return stages + packs
        # Stages run in parallel with running packs. Waiting packs may need the stages first.
        return max(packs, stages + makespan([], waiting, num_workers))

    def _rate(self) -> float | None:
        """Return the seconds of a worker per unit, None if nothing was measured."""
        seconds, units = self._seconds, self._units
        for pack in self._packs:
            if pack.start is not None and pack.updated > pack.start and pack.done() > 0:
                seconds += pack.updated - pack.start
                units += pack.done()
        return seconds / units if units > 0 and seconds > 0 else None

    def _mean_length(self) -> float | None:
        """Return the mean length of ended and running trials, None if unknown.

        Running trials count with their full length, because the mean of ended trials alone would be
        too small: short trials end first.
        """
        known = [t.length() for pack in self._packs for t in pack.trials.values()]
        lengths = [*self._lengths, *(length for length in known if length is not None)]
        return sum(lengths) / len(lengths) if lengths else None


def _pack_rate(pack: _Pack, left: float, rate: float) -> float:
    """Return the seconds per unit of a pack, a weighted mean of its own rate and ``rate``."""
    done = pack.done()
    weight = PRIOR_WEIGHT * (done + left)
    if done + weight <= 0:
        return rate
    return (pack.updated - pack.first_step + rate * weight) / (done + weight)


def makespan(running: Sequence[float], queued: Sequence[float], num_workers: int) -> float:
    """Return the seconds until all work is done, if each free worker takes the next item.

    Args:
        running: the remaining seconds of each busy worker, possibly more than ``num_workers``.
        queued: the seconds of each queued item, in order.
        num_workers: the number of workers.
    """
    workers = [*running, *[0.0] * max(0, num_workers - len(running))] or [0.0]
    heapq.heapify(workers)
    size = math.ceil(len(queued) / MAX_ITEMS) if len(queued) > MAX_ITEMS * num_workers else 1
    for first in range(0, len(queued), size):
        free = heapq.heappop(workers)
        heapq.heappush(workers, free + sum(queued[first : first + size]))
    return max(workers)
