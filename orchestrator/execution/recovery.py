"""How packs continue after a worker died, ran out of memory or hung. Decisions only: no Ray.

Events go in (``on_*``), and an action or the next pack comes out. Ray Tune restarts workers; what
it cannot decide is here:

- A pack whose worker died twice without a new step continues as packs of one, so that a trial that
  kills its workers takes no others along. A trial fails after ``MAX_DEATHS`` workers.
- Trials that ran out of memory next to others may not be to blame. They wait until nothing else
  is left to run, and then run one at a time. A trial that runs out of memory alone has failed.
- A worker that was killed because a step took too long fails its trial; members of a larger pack
  continue as packs of one, which shows whose step it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from orchestrator.execution.deadline import overdue
from orchestrator.execution.events import Pack
from tasks.contract import SweepError, Trial

MAX_DEATHS = 4  # workers that a trial may cost without a new step before it has failed
MAX_BROKEN_STARTS = 10  # workers in a row that may die before they take a pack

Cause = Literal["died", "out of memory", "timed out"]
#: Each of these members (all, for None) that has not ended, as a pack of its own.
Split = Callable[[Pack, Collection[str] | None], list[Pack]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Restart:
    """The pack runs again on another worker; its members resume from their checkpoints."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replace:
    """The pack is over; its members come again in packs of their own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fail:
    """The members that are left have failed."""

    reason: str


Action = Restart | Replace | Fail


@dataclass(kw_only=True, slots=True)
class _Running:
    pack_id: int
    trials: dict[str, Trial]  # members that have not ended
    exclusive: bool
    deaths: int = 0  # of its workers since its last new step

    @property
    def pack(self) -> Pack:
        return Pack(id=self.pack_id, trials=tuple(self.trials.values()))


class Recovery:
    """Knows the packs that run, and which packs must run again."""

    def __init__(self, split: Split, num_workers: int, step_timeout: float | None) -> None:
        self._split, self._num_workers, self._step_timeout = split, num_workers, step_timeout
        self._running: dict[int, _Running] = {}
        self._again: deque[Pack] = deque()  # before any new pack
        self._exclusive: deque[Pack] = deque()  # after all others, with nothing beside them
        self._broken_starts = 0

    # --- packs to run -----------------------------------------------------------------------------

    def next_pack(self, new_pack: Callable[[], Pack | None]) -> Pack | None:
        """The pack to run next, which counts as running; None if none may start now."""
        if any(running.exclusive for running in self._running.values()):
            return None
        pack = self._again.popleft() if self._again else new_pack()
        exclusive = pack is None and not self._running and bool(self._exclusive)
        if exclusive:
            pack = self._exclusive.popleft()
        if pack is not None:
            trials = {trial.id: trial for trial in pack.trials}
            running = _Running(pack_id=pack.id, trials=trials, exclusive=exclusive)
            self._running[pack.id] = running
        return pack

    def is_idle(self) -> bool:
        """Whether no pack runs or must run again."""
        return not (self._running or self._again or self._exclusive)

    def remaining(self, pack_id: int) -> Pack:
        """The members of a running pack that have not ended."""
        return self._running[pack_id].pack

    # --- events -----------------------------------------------------------------------------------

    def on_step(self, pack_id: int) -> None:
        """A pack's worker made a new step: the workers lost before it no longer count."""
        self._running[pack_id].deaths = 0

    def on_report(self) -> None:
        """Some worker reported: workers can start."""
        self._broken_starts = 0

    def on_ended(self, pack_id: int, trial_ids: Collection[str]) -> bool:
        """Members ended; whether the pack has with them."""
        running = self._running[pack_id]
        for trial_id in trial_ids:
            running.trials.pop(trial_id, None)
        if not running.trials:
            del self._running[pack_id]
        return not running.trials

    def on_out_of_memory(self, pack_id: int, trial_ids: Collection[str]) -> bool:
        """Members had no memory for a step; whether they have failed, rather than run again."""
        running = self._running[pack_id]
        if running.exclusive or self._num_workers == 1:
            return True
        self._exclusive += self._split(running.pack, trial_ids)
        return False

    def on_interrupted(self, pack_id: int) -> None:
        """The pack's worker was stopped through no fault of its own."""
        running = self._running.pop(pack_id)
        queue = self._exclusive if running.exclusive else self._again
        queue.appendleft(running.pack)

    def on_worker_lost(self, pack_id: int, cause: Cause, *, took_pack: bool) -> Action:
        """A pack's worker is gone, which may have been before it had the pack.

        Raises:
            SweepError: if workers do not get so far, one after the other.
        """
        if not took_pack:
            self._broken_starts += 1
            if self._broken_starts > MAX_BROKEN_STARTS:
                raise SweepError(
                    f"{self._broken_starts} workers in a row died before they took any work; "
                    f"--engine local shows why"
                )
            return Restart()
        running = self._running[pack_id]
        running.deaths += 1
        action = self._decide(running, cause)
        if not isinstance(action, Restart):
            del self._running[pack_id]
        return action

    def _decide(self, running: _Running, cause: Cause) -> Action:
        several = len(running.trials) > 1
        if cause == "out of memory":
            if running.exclusive:
                return Fail(
                    reason="Ray killed its worker, though it ran alone: the node ran out of memory"
                )
            self._exclusive += self._split(running.pack, None)
            return Replace()
        if several and (running.deaths > 1 or cause == "timed out"):
            self._again += self._split(running.pack, None)
            return Replace()
        if cause == "timed out" and self._step_timeout is not None:
            return Fail(reason=overdue("a step", self._step_timeout))
        if running.deaths >= MAX_DEATHS:
            return Fail(reason=f"its worker died {MAX_DEATHS} times (out of memory?)")
        return Restart()
