"""Decides how packs continue after a worker died, ran out of memory or hung.

A state machine that does not import Ray: the ``on_*`` methods take events and return actions. Ray
Tune restarts workers. This module decides what Tune cannot:

- A pack whose worker died twice without a new step is split into packs of one, so that a trial that
  kills its workers does not affect others. A trial fails after it lost ``MAX_DEATHS`` workers.
- A trial that ran out of memory while others were running may not be the cause. Such trials run
  again one at a time when nothing else is left to run. A trial that runs out of memory alone fails.
- A trial fails if its worker was killed because a step took too long. A larger pack is first split
  into packs of one, to find the trial that hangs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from orchestrator.execution.events import Pack
from orchestrator.execution.timeout import timeout_message
from tasks.contract import SweepError, Trial

MAX_DEATHS = 4  # worker deaths without a new step after which a trial fails
MAX_BROKEN_STARTS = 10  # consecutive workers that may die before they take a pack

Cause = Literal["died", "out of memory", "timed out"]
#: Returns a pack of one for each unfinished member with one of these ids (None for all members).
Split = Callable[[Pack, Collection[str] | None], list[Pack]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Restart:
    """Run the pack on another worker; its trials resume from their checkpoints."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Requeue:
    """The pack ends, and its unfinished trials were queued again as packs of one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fail:
    """The unfinished trials of the pack fail."""

    reason: str


Action = Restart | Requeue | Fail


@dataclass(kw_only=True, slots=True)
class _Running:
    pack_id: int
    trials: dict[str, Trial]  # trials that have not ended
    exclusive: bool  # whether no other pack may run at the same time
    deaths: int = 0  # worker deaths since the last new step

    @property
    def pack(self) -> Pack:
        return Pack(id=self.pack_id, trials=tuple(self.trials.values()))


class Recovery:
    """Tracks the running packs and the packs that must run again."""

    def __init__(self, split: Split, num_workers: int, step_timeout: float | None) -> None:
        self._split, self._num_workers, self._step_timeout = split, num_workers, step_timeout
        self._running: dict[int, _Running] = {}
        self._retry: deque[Pack] = deque()  # run before new packs
        self._exclusive: deque[Pack] = deque()  # run after all others, one at a time
        self._broken_starts = 0

    # --- packs to run -----------------------------------------------------------------------------

    def next_pack(self, new_pack: Callable[[], Pack | None]) -> Pack | None:
        """Return the next pack and mark it as running; None if none may start now."""
        if any(running.exclusive for running in self._running.values()):
            return None
        pack = self._retry.popleft() if self._retry else new_pack()
        exclusive = pack is None and not self._running and bool(self._exclusive)
        if exclusive:
            pack = self._exclusive.popleft()
        if pack is not None:
            trials = {trial.id: trial for trial in pack.trials}
            running = _Running(pack_id=pack.id, trials=trials, exclusive=exclusive)
            self._running[pack.id] = running
        return pack

    def is_idle(self) -> bool:
        """Return whether no pack is running or waiting to run again."""
        return not (self._running or self._retry or self._exclusive)

    def remaining(self, pack_id: int) -> Pack:
        """Return the unfinished trials of a running pack."""
        return self._running[pack_id].pack

    # --- events -----------------------------------------------------------------------------------

    def on_step(self, pack_id: int) -> None:
        """Reset the worker deaths of a pack that made a new step."""
        self._running[pack_id].deaths = 0

    def on_report(self) -> None:
        """Note that a worker reported, so workers can start."""
        self._broken_starts = 0

    def on_ended(self, pack_id: int, trial_ids: Collection[str]) -> bool:
        """Record that trials ended; return whether the pack has ended too."""
        running = self._running[pack_id]
        for trial_id in trial_ids:
            running.trials.pop(trial_id, None)
        if not running.trials:
            del self._running[pack_id]
        return not running.trials

    def on_cancelled(self, trial_ids: Collection[str]) -> list[int]:
        """Remove cancelled trials from all packs; return the ids of running packs that ended."""
        if not trial_ids:
            return []
        self._retry = _without(self._retry, trial_ids)
        self._exclusive = _without(self._exclusive, trial_ids)
        return [pack_id for pack_id in list(self._running) if self.on_ended(pack_id, trial_ids)]

    def on_out_of_memory(self, pack_id: int, trial_ids: Collection[str]) -> bool:
        """Handle trials that ran out of memory; return whether they fail (or run again)."""
        running = self._running[pack_id]
        if running.exclusive or self._num_workers == 1:
            return True
        self._exclusive += self._split(running.pack, trial_ids)
        return False

    def on_interrupted(self, pack_id: int) -> None:
        """Queue a pack again whose worker was stopped because of another one."""
        running = self._running.pop(pack_id)
        queue = self._exclusive if running.exclusive else self._retry
        queue.appendleft(running.pack)

    def on_worker_lost(self, pack_id: int, cause: Cause, *, took_pack: bool) -> Action:
        """Decide what happens to a pack whose worker was lost.

        Args:
            pack_id: the pack.
            cause: why the worker was lost.
            took_pack: whether the worker had taken the pack.

        Raises:
            SweepError: if too many workers in a row died before they took a pack.
        """
        if not took_pack:
            self._broken_starts += 1
            if self._broken_starts > MAX_BROKEN_STARTS:
                raise SweepError(
                    f"{self._broken_starts} workers in a row died before they took any work; "
                    f"run with --engine local to see the error"
                )
            return Restart()
        running = self._running[pack_id]
        running.deaths += 1
        action = self._decide(running, cause)
        if not isinstance(action, Restart):
            del self._running[pack_id]
        return action

    def _decide(self, running: _Running, cause: Cause) -> Action:
        is_several = len(running.trials) > 1
        if cause == "out of memory":
            if running.exclusive:
                return Fail(
                    reason="the node ran out of memory even with nothing else running, so Ray "
                    "killed the worker"
                )
            self._exclusive += self._split(running.pack, None)
            return Requeue()
        if is_several and (running.deaths > 1 or cause == "timed out"):
            self._retry += self._split(running.pack, None)
            return Requeue()
        if cause == "timed out" and self._step_timeout is not None:
            return Fail(reason=timeout_message("a step", self._step_timeout))
        if running.deaths >= MAX_DEATHS:
            return Fail(reason=f"its worker died {MAX_DEATHS} times (out of memory?)")
        return Restart()


def _without(packs: Iterable[Pack], trial_ids: Collection[str]) -> deque[Pack]:
    """Return the packs without these trials, and without packs that are empty then."""
    kept = (
        Pack(id=pack.id, trials=tuple(t for t in pack.trials if t.id not in trial_ids))
        for pack in packs
    )
    return deque(pack for pack in kept if pack.trials)
