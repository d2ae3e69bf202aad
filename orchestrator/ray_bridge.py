"""The driver's side of the slots: packs out, events in, and what a lost worker means.

Tune calls ``Feeding`` at each of its steps, at each result of a slot and at each loss; the work is
the ``Bridge``'s, which Tune never sees: it pickles what it is given.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import orchestrator.ray_settings  # noqa: F401  before Ray

# isort: split
import ray
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.deadline import overdue, patience
from orchestrator.engine import Event, Failure, Pack, Work
from orchestrator.ray_patches import Killed
from orchestrator.ray_stages import RayStages
from orchestrator.ray_workers import Held, Place, last_words
from orchestrator.stages import needed_stages
from tasks.contract import Stage, SweepError

MAX_LOST_WORKERS = 3  # times that a pack is tried again after its worker died
MAX_BROKEN_STARTS = 10  # slots in a row that die before they have told anything
LAST_WORDS_SECONDS = 20.0  # to wait for a dead worker's log
BOARD_SECONDS = 0.5  # between two looks at whether the board still knows what it was given


class Bridge:
    """What the callback and the stopper share; Tune pickles both, so they hold its number."""

    _number = itertools.count()
    live: ClassVar[dict[int, Bridge]] = {}

    def __init__(self, work: Work, board: Any, stages: RayStages, num_slots: int) -> None:
        self.work, self.board, self.stages = work, board, stages
        self._num_slots = num_slots
        # A list keeps a pack ready for each slot; a search should know all it can when it asks.
        self._most = num_slots if work.prunes else 2 * num_slots
        self._waiting: list[tuple[Pack, list[Stage]]] = []  # for their stages
        self._out: dict[int, tuple[Pack, dict[Stage, Any]]] = {}  # offered, or in a slot
        self._losses: dict[int, int] = {}  # of the workers of a pack, since it last came further
        self._heard: dict[int, float] = {}  # when a pack last told anything
        self._holders: dict[str, Held] = {}  # by slot, as far as is known
        self._suspects: deque[tuple[Pack, dict[Stage, Any]]] = deque()  # of filling the memory
        self._alone: int | None = None  # the suspect that runs, and nothing beside it
        self._hung: set[int] = set()  # packs whose workers were killed for it
        self._broken_starts = 0
        self._looked = time.monotonic()
        self._closed = False
        self._running: set[int] | None = None  # packs in slots when told to halt
        self.error: Exception | None = None  # ends the sweep, and is raised after it
        self.number = next(self._number)
        self.live[self.number] = self

    def is_over(self) -> bool:
        """Whether nothing is left for any slot; then nobody waits any more."""
        if self.error is not None:
            over = True
        elif self.work.should_halt():
            over = self._at_rest()
        else:
            going = self._waiting or self._out or self._suspects
            over = not going and self.work.is_over()
        if over and not self._closed:
            self._closed = True
            self.board.close.remote()
        return over

    def _at_rest(self) -> bool:
        """Whether every slot has come to the end of the step that it was in."""
        if self._running is None:
            self._closed = True
            self.stages.cancel()
            running: set[int] = ray.get(self.board.close.remote())
            self._running = running
        return not self._running

    def feed(self) -> None:
        """Ask for packs, have their stages computed, and offer those that can start."""
        if self.work.should_halt():
            return
        while self._alone is None and len(self._waiting) + len(self._out) < self._most:
            pack = self.work.next_pack()
            if pack is None:
                break
            stages = needed_stages(self.work.task, pack.trials)
            for stage in stages:
                self.stages.want(stage)
            self._waiting.append((pack, stages))
        self.stages.poll()
        for item in list(self._waiting):
            pack, stages = item
            error, refs = self.stages.failed(stages), self.stages.refs(stages)
            if error is not None:
                self._waiting.remove(item)
                self._fail_those_that_need(pack)
            elif refs is not None:
                self._waiting.remove(item)
                self._offer(pack, refs)
        if self._suspects and not self._waiting and not self._out:
            pack, refs = self._suspects.popleft()
            self._alone = pack.id
            self._offer(pack, refs)
        self._look_at_board()

    def _fail_those_that_need(self, pack: Pack) -> None:
        """Members whose stages failed have failed too; the others wait for theirs."""
        going = []
        for trial in pack.trials:
            error = self.stages.failed(self.work.task.stages(trial))
            if error is None:
                going.append(trial)
            else:
                self.work.fail_pack(Pack(id=pack.id, trials=(trial,)), error)
        if going:
            rest = Pack(id=pack.id, trials=tuple(going))
            self._waiting.append((rest, needed_stages(self.work.task, going)))

    def told(
        self, slot: str, pack_id: int | None, events: Sequence[Event], over: bool, rests: bool
    ) -> None:
        """A slot tells of its pack."""
        if over or pack_id is None:
            self._holders.pop(slot, None)
        self._broken_starts = 0
        if self._running and (over or rests):
            self._running.discard(pack_id or 0)
        if pack_id not in self._out:
            return  # a slot that waits, or one that tells of a pack which went on elsewhere
        self._heard[pack_id] = time.monotonic()
        if any(not event.replayed for event in events):
            self._losses.pop(pack_id, None)  # it came further: its workers were lost by chance
        pack, refs = self._out[pack_id]
        stop = self.work.record(pack, self._without_suspects(pack, refs, events))
        done = {e.trial_id for e in events if isinstance(e.outcome, Failure) or e.outcome.step.done}
        if stop:  # the slot asks before its next step, so this must be there first
            ray.get(self.board.end.remote(sorted(stop)))
        if done and not over:
            self.board.end.remote(sorted(done))
        if over:
            self._drop(pack_id)

    def _without_suspects(
        self, pack: Pack, refs: dict[Stage, Any], events: Sequence[Event]
    ) -> Sequence[Event]:
        """Who ran out of memory beside others has not failed yet: it waits to run alone."""
        if pack.id == self._alone or self._num_slots == 1:
            return events
        short = [e for e in events if isinstance(e.outcome, Failure) and e.outcome.out_of_memory]
        if short:
            ids = {event.trial_id for event in short}
            self._suspects += [(alone, refs) for alone in self.work.split(pack, ids)]
        return [event for event in events if event not in short]

    def lost(self, slot: str, out_of_memory: bool) -> None:
        """A slot's worker died: its pack is for any other now.

        At the second loss without progress, or if it hung, its members go on each for itself, so
        that one which kills its workers takes no other along; one that does so again and again has
        failed. Who may have filled the memory waits until it can run alone.
        """
        pack_id, place = ray.get(self.board.release.remote(slot))
        seen = self._holders.pop(slot, None)
        if pack_id is None and seen is not None:  # the board died with it
            pack_id, place = seen.pack, seen.place
        if self._running:
            self._running.discard(pack_id or 0)
        if pack_id not in self._out:
            self._broken_starts += 1
            if self._broken_starts > MAX_BROKEN_STARTS:
                raise SweepError(
                    f"{self._broken_starts} workers in a row died before they took any work; "
                    f"--engine local shows why"
                )
            return
        if out_of_memory:
            self._lost_to_memory(pack_id, place)
        else:
            self._lost_by_itself(pack_id, place)

    def _lost_to_memory(self, pack_id: int, place: Place | None) -> None:
        """Ray kills several workers of a full node: who filled it shows when each runs alone."""
        pack, refs = self._out[pack_id]
        if pack_id == self._alone:
            reason = "Ray killed its worker, though it ran alone: the node ran out of memory"
            self.work.fail_pack(pack, Failure(reason=reason, log=_last_words(place)))
        elif len(pack.trials) > 1:
            self._suspects += [(alone, refs) for alone in self.work.split(pack)]
        else:
            self._suspects.append((pack, refs))
        self._drop(pack_id)

    def _lost_by_itself(self, pack_id: int, place: Place | None) -> None:
        pack, refs = self._out[pack_id]
        losses = self._losses[pack_id] = self._losses.get(pack_id, 0) + 1
        hung = pack_id in self._hung
        if (losses > 1 or hung) and len(pack.trials) > 1:
            for alone in self.work.split(pack):
                self._offer(alone, refs)
            self._drop(pack_id)
        elif hung or losses > MAX_LOST_WORKERS:
            reason = f"its worker died {MAX_LOST_WORKERS + 1} times (out of memory?)"
            if hung and self.work.deadline:
                reason = overdue("a step", self.work.deadline)
            self.work.fail_pack(pack, Failure(reason=reason, log=_last_words(place)))
            self._drop(pack_id)
        else:
            self.board.offer.remote(pack_id, pack.trials, refs, first=True)

    def _offer(self, pack: Pack, refs: dict[Stage, Any]) -> None:
        self._out[pack.id] = (pack, refs)
        self.board.offer.remote(pack.id, pack.trials, refs)

    def _drop(self, pack_id: int) -> None:
        del self._out[pack_id]
        self._losses.pop(pack_id, None)
        self._heard.pop(pack_id, None)
        self._hung.discard(pack_id)
        if pack_id == self._alone:
            self._alone = None
        self.board.drop.remote(pack_id)

    def _look_at_board(self) -> None:
        """See who holds what, and give a board that died and was started again what it lost."""
        if not (self._out or self._waiting) or time.monotonic() - self._looked < BOARD_SECONDS:
            return
        self._looked = time.monotonic()
        known, holders, progress = ray.get(self.board.look.remote())
        for step in progress.steps:
            self.work.progressed(step)
        self.stages.take_progress(progress.stages)
        self._holders |= holders
        held = {holder.pack for holder in self._holders.values()}
        for pack_id, (pack, refs) in self._out.items():
            if pack_id in held:
                self.work.pack_runs(pack)
            if pack_id not in known and pack_id not in held:
                self.board.offer.remote(pack_id, pack.trials, refs)
        if self.work.deadline is not None:
            self._kill_what_hangs(patience(self.work.deadline))

    def _kill_what_hangs(self, most: float) -> None:
        """Kill the slots that should have interrupted themselves long ago."""
        now = time.monotonic()
        for holder in self._holders.values():
            silent = min(holder.seconds, now - self._heard.get(holder.pack, -math.inf))
            if holder.pack in self._out and holder.pack not in self._hung and silent > most:
                self._hung.add(holder.pack)
                ray.kill(holder.place.actor)


def _last_words(place: Place | None) -> str:
    """What the worker last wrote; nothing, if its node is gone as well."""
    if place is None:
        return ""
    there = NodeAffinitySchedulingStrategy(node_id=place.node, soft=False)
    try:
        words = last_words.options(scheduling_strategy=there).remote(place.pid)
        return str(ray.get(words, timeout=LAST_WORDS_SECONDS))
    except Exception:
        return ""


class Feeding(tune.Callback):  # type: ignore[misc]
    """What Tune calls; it holds the bridge's number alone."""

    def __init__(self, number: int) -> None:
        self._number = number

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tune looks around."""
        self._guarded(lambda bridge: bridge.feed())

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A slot has told something."""
        events = result.pop("events", [])  # before Tune keeps the result
        told = (trial.trial_id, result["pack"], events, result["over"], result["rests"])
        self._guarded(lambda bridge: bridge.told(*told))
        self._guarded(lambda bridge: bridge.feed())

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A slot is lost, and Tune starts it again."""
        out_of_memory = Killed.for_memory  # of the death that Tune is just hearing of
        self._guarded(lambda bridge: bridge.lost(trial.trial_id, out_of_memory))

    def _guarded(self, act: Callable[[Bridge], None]) -> None:
        """Tune would wrap an error's traceback in its own: it is kept, and raised after the end."""
        bridge = Bridge.live[self._number]
        if bridge.error is None:
            try:
                act(bridge)
            except Exception as error:
                bridge.error = error


class Halting(tune.Stopper):  # type: ignore[misc]
    """What Tune asks; it holds the bridge's number alone."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No slot stops by itself."""
        return False

    def stop_all(self) -> bool:
        """All stop once nothing is left for any of them."""
        return Bridge.live[self._number].is_over()
