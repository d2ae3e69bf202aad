"""How long a sweep still takes, from the steps and stages that have been measured.

Nothing here reads a clock: each event comes with the time at which it happened, in seconds. Work is
counted in units of ``Step.at`` (epochs, images), of which a trial has as many as its last step's
``at``, or one where that is 0. What has been computed of a step under way counts as well, so there
is an estimate as soon as a task has reported progress once.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.view.stages_left import StagesLeft

PRIOR_WEIGHT = 0.25  # share of a pack's units that the rate of all packs counts as
MAX_ITEMS = 1000  # of queued work that are placed on workers one by one


@dataclass(kw_only=True, slots=True)
class TrialWork:
    """One trial: how far it is, in units of ``Step.at``."""

    total: float | None  # ``at`` of its last step, if the task says so
    at: float = 0  # of its last step
    began_at: float = 0  # ``at`` where this run took it up
    next_at: float | None = None  # of the step under way
    share: float = 0  # of the step under way that is done

    def position(self) -> float:
        """``at``, with the part of the step under way that is done."""
        following = self.at + 1 if self.next_at is None else self.next_at
        return self.at + self.share * max(0.0, following - self.at)

    def done(self) -> float:
        """Units computed in this run."""
        return self.position() - self.began_at

    def length(self) -> float | None:
        """All of its units."""
        return None if self.total is None else max(1.0, self.total)

    def share_done(self) -> float:
        """Of the trial; 0 where the task gives no total."""
        length = self.length()
        return 0.0 if length is None else min(1.0, self.position() / length)

    def left(self, unknown: float | None) -> float:
        """Units still to compute; ``unknown`` is a trial's length where the task gives none."""
        length = self.length() or unknown or self.position() + 1
        return max(0.0, length - self.position())


@dataclass(kw_only=True, slots=True)
class _Pack:
    trials: dict[str, TrialWork]
    handed: float  # when it was given to the engine
    began: float | None = None  # when a worker took it up; earlier than its first step
    first_step: float = 0.0  # when that began
    updated: float = 0.0  # when its progress was last known
    done_before: float = 0.0  # units of its trials that have ended

    def done(self) -> float:
        return self.done_before + sum(trial.done() for trial in self.trials.values())


@dataclass(kw_only=True)
class TimeLeft:
    """Takes in the events of a sweep and estimates the seconds that are left."""

    queued: dict[str, float | None] = field(default_factory=dict)  # totals of a grid's trials
    stages: StagesLeft = field(default_factory=StagesLeft)
    _packs: list[_Pack] = field(default_factory=list)
    _seconds: float = 0.0  # that ended packs took
    _units: float = 0.0  # that they computed
    _lengths: list[float] = field(default_factory=list)  # units of each trial that has ended
    _freed: float | None = None  # when a worker was last freed by the end of a pack

    # --- events -----------------------------------------------------------------------------------

    def pack_started(self, totals: Mapping[str, float | None], now: float) -> None:
        """These trials were given to the engine as one pack; they may have been in another."""
        for pack in list(self._packs):
            for trial_id in totals.keys() & pack.trials.keys():
                self._take_out(pack, trial_id)
        for trial_id in totals:
            self.queued.pop(trial_id, None)
        trials = {trial_id: TrialWork(total=total) for trial_id, total in totals.items()}
        self._packs.append(_Pack(trials=trials, handed=now))

    def progressed(self, trial_id: str, share: float, next_at: float | None, now: float) -> None:
        """A trial is within a step."""
        for pack in self._packs:
            if trial_id in pack.trials:
                self._began(pack, now, 0.0)
                pack.updated = now
                trial = pack.trials[trial_id]
                trial.share = share
                trial.next_at = trial.next_at if next_at is None else next_at

    def stepped(
        self, trial_id: str, at: float, seconds: float, now: float, replayed: bool = False
    ) -> None:
        """A trial made a step, its share of which took so long; or did so in an earlier run."""
        for pack in self._packs:
            if trial_id in pack.trials:
                trial = pack.trials[trial_id]
                trial.at, trial.share, trial.next_at = at, 0.0, None
                if replayed:
                    trial.began_at = at
                else:
                    self._began(pack, now, seconds * len(pack.trials))
                    pack.updated = now
                    if trial.length() is not None and at == 0:
                        trial.at = 1.0  # the one step of a trial without units

    def ended(self, trial_id: str, now: float) -> None:
        """A trial finished, failed or was pruned."""
        for pack in list(self._packs):
            if trial_id in pack.trials:
                self._lengths.append(pack.trials[trial_id].position())
                self._take_out(pack, trial_id)
                if not pack.trials:
                    self._freed = now

    def _take_out(self, pack: _Pack, trial_id: str) -> None:
        pack.done_before += pack.trials.pop(trial_id).done()
        if not pack.trials:
            self._packs.remove(pack)
            if pack.began is not None:
                self._seconds += pack.updated - pack.began
                self._units += pack.done()

    def _began(self, pack: _Pack, now: float, seconds: float) -> None:
        """A pack's first event: it began when its worker was free and its stages were there."""
        if pack.began is not None:
            return
        pack.began = pack.first_step = pack.updated = now - seconds
        if self._freed is not None:
            free = max(pack.handed, self._freed, self.stages.last_done)
            pack.began = min(pack.began, free)

    # --- estimates --------------------------------------------------------------------------------

    def trial(self, trial_id: str) -> TrialWork | None:
        """A trial that the engine has."""
        found = (pack.trials[trial_id] for pack in self._packs if trial_id in pack.trials)
        return next(found, None)

    def seconds_left(self, num_trials: int, num_workers: int, now: float) -> float | None:
        """Until ``num_trials`` that the engine does not have yet, and those it has, have ended.

        None as long as no step has been measured.
        """
        rate = self._rate()
        if rate is None:
            return None
        unknown = self._mean_length()
        running, waiting = [], []
        for pack in self._packs:
            left = sum(trial.left(unknown) for trial in pack.trials.values())
            if pack.began is None:
                waiting.append(left * rate)
            else:
                own = _own_rate(pack, left, rate)
                running.append(max(0.0, left * own - max(0.0, now - pack.updated)))
        lengths = [total if total else 1.0 for total in self.queued.values() if total is not None]
        lengths += [unknown or 1.0] * max(0, num_trials - len(lengths))
        queued = [length * rate for length in lengths[: max(0, num_trials)]]
        everything = makespan(running, [*waiting, *queued], num_workers)
        stages = self.stages.seconds_left(num_workers, now) or 0.0
        if num_workers == 1 or not running:
            return stages + everything
        # Stages are computed beside the packs that run; packs that wait may need them first.
        return max(everything, stages + makespan([], waiting, num_workers))

    def _rate(self) -> float | None:
        """Seconds of a worker per unit."""
        seconds, units = self._seconds, self._units
        for pack in self._packs:
            if pack.began is not None and pack.updated > pack.began and pack.done() > 0:
                seconds += pack.updated - pack.began
                units += pack.done()
        return seconds / units if units > 0 and seconds > 0 else None

    def _mean_length(self) -> float | None:
        """Units of a trial that nothing is known of: the mean of those that ended or run.

        A trial that runs counts with all its units, since those that end first are the short ones.
        """
        known = [t.length() for pack in self._packs for t in pack.trials.values()]
        lengths = [*self._lengths, *(length for length in known if length is not None)]
        return sum(lengths) / len(lengths) if lengths else None


def _own_rate(pack: _Pack, left: float, rate: float) -> float:
    """Seconds per unit of this pack: the ``rate`` of all at first, its own the further it is."""
    done = pack.done()
    weight = PRIOR_WEIGHT * (done + left)
    if done + weight <= 0:
        return rate
    return (pack.updated - pack.first_step + rate * weight) / (done + weight)


def makespan(running: Sequence[float], queued: Sequence[float], num_workers: int) -> float:
    """Seconds until the last worker is free, if each takes the next of the queue when it is free.

    ``running`` are the seconds that workers are busy for. More of them than ``num_workers`` are
    taken to run side by side.
    """
    workers = [*running, *[0.0] * max(0, num_workers - len(running))] or [0.0]
    heapq.heapify(workers)
    size = math.ceil(len(queued) / MAX_ITEMS) if len(queued) > MAX_ITEMS * num_workers else 1
    for first in range(0, len(queued), size):
        free = heapq.heappop(workers)
        heapq.heappush(workers, free + sum(queued[first : first + size]))
    return max(workers)
