"""What runs on the workers of a Ray cluster: slots, the board that feeds them, and stages."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orchestrator.ray_settings  # noqa: F401  before Ray

# isort: split
import ray
from ray import tune

from orchestrator.checkpoints import Checkpoints
from orchestrator.discovery import load_task
from orchestrator.engine import Event, Failure, StepProgress, failure, pick_device, run_pack
from orchestrator.measure import Usage, measure_step
from orchestrator.stages import StageCache, compute
from tasks.contract import Stage, Trial
from tasks.memory import keep_freed_memory
from tasks.progress import Throttle, reporting

PATIENCE = 1.0  # seconds that a slot waits for a pack before it tells Tune that it lives
CLOSED_SECONDS = 0.2  # between two words of a slot that has nothing more to do
LAST_LINES = 30  # of a dead worker's log
RESULT_SECONDS = 0.05  # quick steps are told together, so that telling costs little beside them

Offer = tuple[int, tuple[Trial, ...], dict[Stage, Any]]  # number, members, stages' values


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a slot runs."""

    actor: Any
    node: str
    pid: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """A pack in a slot."""

    pack: int
    seconds: float  # since it was taken
    place: Place


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """The last reports that have not been read yet."""

    steps: list[StepProgress]  # the last of each slot
    stages: dict[str, float]  # by the stage's key, the share of it that is done


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class Board:
    """Passes packs to slots, stop requests to running packs, and progress to the driver."""

    def __init__(self) -> None:
        self._packs: dict[int, tuple[tuple[Trial, ...], dict[Stage, Any]]] = {}
        self._offered: deque[int] = deque()
        self._held: dict[str, tuple[int, float]] = {}  # slot -> its pack, and since when
        self._places: dict[str, Place] = {}  # the same
        self._ended: set[str] = set()
        self._news = asyncio.Event()
        self._closed = False
        self._steps: dict[str, StepProgress] = {}  # by slot
        self._stages: dict[str, float] = {}  # by key

    async def offer(
        self, pack: int, trials: tuple[Trial, ...], refs: dict[Stage, Any], first: bool = False
    ) -> None:
        """A pack for the next free slot, with references to its stages' values.

        ``first`` gives one back that a slot has lost. Else one that is known already was offered
        twice: calls may overtake one another, as ``look`` an ``offer``.
        """
        if pack in self._packs and not first:
            return
        self._packs[pack] = (trials, refs)
        if first:
            self._offered.appendleft(pack)
        else:
            self._offered.append(pack)
        self._news.set()

    async def take(
        self, slot: str, place: Place, last: int | None, patience: float
    ) -> Offer | None:
        """A pack's members that have not ended; None if there is none within ``patience``.

        ``last`` is the pack that the slot is done with. If it holds another, it was started again
        and never heard of that one.
        """
        held = self._held.pop(slot, None)
        if held is not None and held[0] != last and held[0] in self._packs:
            self._offered.appendleft(held[0])
        self._places[slot] = place
        if self._closed:
            await asyncio.sleep(CLOSED_SECONDS)
            return None
        if not self._offered:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), patience)
            except TimeoutError:
                return None
        while self._offered and not self._closed:
            pack = self._offered.popleft()
            if pack in self._packs:  # and not dropped since
                self._held[slot] = (pack, time.monotonic())
                trials, refs = self._packs[pack]
                return pack, tuple(t for t in trials if t.id not in self._ended), refs
        return None  # another slot was quicker

    async def is_closed(self) -> bool:
        """Whether slots are to stop before their next step."""
        return self._closed

    async def close(self) -> set[int]:
        """No pack is handed out any more, and nobody need wait for one; the packs in slots."""
        self._closed = True
        self._news.set()
        return {pack for pack, _ in self._held.values()}

    async def release(self, slot: str) -> tuple[int | None, Place | None]:
        """The slot is lost; the pack that it held, if any, and where it ran, if it got so far."""
        held = self._held.pop(slot, None)
        return held[0] if held else None, self._places.pop(slot, None)

    async def report_step(self, slot: str, progress: StepProgress) -> None:
        """A slot is within a step."""
        self._steps[slot] = progress

    async def report_stage(self, key: str, share: float) -> None:
        """So much of a stage is computed."""
        self._stages[key] = share

    async def look(self) -> tuple[set[int], dict[str, Held], Progress]:
        """The packs it has (a restarted board has none), what the slots hold, and new reports."""
        now = time.monotonic()
        held = {
            slot: Held(pack=pack, seconds=now - since, place=self._places[slot])
            for slot, (pack, since) in self._held.items()
        }
        progress = Progress(steps=list(self._steps.values()), stages=self._stages)
        self._steps, self._stages = {}, {}
        return set(self._packs), held, progress

    async def end(self, trial_ids: Sequence[str]) -> None:
        """These members have ended, or are to stop."""
        self._ended.update(trial_ids)

    async def ended(self) -> set[str]:
        """All members that ended or are to stop."""
        return self._ended

    async def drop(self, pack: int) -> None:
        """The pack is over: let its stages' values go."""
        trials, _ = self._packs.pop(pack, ((), {}))
        self._ended.difference_update(t.id for t in trials)


@ray.remote(num_cpus=0, max_retries=3)  # type: ignore[untyped-decorator]
def compute_stage(
    stage: Stage, threads: int, cache: StageCache, deadline: float | None, board: Any, *needs: Any
) -> tuple[Any, Any]:
    """The stage's value, read or computed, and its ``Origin``."""
    found = cache.load(stage)
    if found is not None:
        return found
    _settle(threads)
    began = time.perf_counter()

    def receive(share: float, next_at: int | None) -> None:
        board.report_stage.remote(stage.key, share)

    with reporting(receive, Throttle()):
        value = compute(stage, needs, pick_device() if stage.on_device else "cpu", deadline)
    return value, cache.save(stage, value, time.perf_counter() - began)


@ray.remote(max_retries=0, max_calls=1)  # type: ignore[untyped-decorator]
def measure_on_worker(
    trial: Trial,
    checkpoints: Checkpoints,
    threads: int,
    deadline: float | None,
    stages: Sequence[Stage],
    *values: Any,
) -> tuple[Sequence[Event], Usage | None]:
    """A trial's next step and what it took, in a process that ends with it and frees all."""
    _settle(threads)
    inputs = dict(zip(stages, values, strict=True))
    task, device = load_task(trial.task), pick_device()
    return measure_step(task, trial, inputs, device, checkpoints, deadline)


@ray.remote(num_cpus=0, max_retries=0)  # type: ignore[untyped-decorator]
def content_of(path: str) -> bytes | None:
    """A file as this node sees it; None if it does not."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


@ray.remote(num_cpus=0, max_retries=0)  # type: ignore[untyped-decorator]
def last_words(pid: int) -> str:
    """The last lines that a worker of this node wrote to its standard streams."""
    logs = Path(ray._private.worker._global_node.get_logs_dir_path())
    files = sorted(logs.glob(f"worker-*-{pid}.*"))
    text = "".join(file.read_text(errors="replace") for file in files if file.is_file())
    lines = [line for line in text.splitlines() if not line.startswith(":")]  # Ray's own marks
    return "\n".join(lines[-LAST_LINES:])


def _settle(threads: int) -> None:
    """What a worker's process is set to before it computes."""
    keep_freed_memory()
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(threads)


class PackTrainable(tune.Trainable):  # type: ignore[misc]
    """A slot. ``step`` advances the pack it holds, or takes one."""

    def setup(
        self,
        config: dict[str, Any],
        board: Any = None,
        task: str = "",
        checkpoints: Checkpoints | None = None,
        prunes: bool = False,
        threads: int = 1,
        deadline: float | None = None,
    ) -> None:
        """Warm the process up: the task, its device, its threads."""
        _settle(threads)
        self._board, self._prunes, self._deadline = board, prunes, deadline
        context = ray.get_runtime_context()
        self._place = Place(
            actor=context.current_actor, node=context.get_node_id(), pid=os.getpid()
        )
        assert checkpoints is not None
        self._task, self._checkpoints = load_task(task), checkpoints
        self._device = pick_device()
        self._pack: int | None = None
        self._going: set[str] = set()
        self._steps: Generator[list[Event], set[str], None] | None = None
        self._throttle = Throttle()

    def step(self) -> dict[str, Any]:
        """Events of the pack, as one value that the driver takes out."""
        began = time.perf_counter()
        nothing: dict[str, Any] = {"events": [], "over": False, "rests": True}
        if self._steps is None and not self._take():
            return {"pack": None, **nothing}
        if self._begun and ray.get(self._board.is_closed.remote()):
            time.sleep(CLOSED_SECONDS)  # until the others come to rest as well
            return {"pack": self._pack, **nothing}
        events: list[Event] = []
        while self._steps is not None:
            try:
                events += self._advance()
            except Exception as error:  # outside of the task, such as a checkpoint's full disk
                told = failure(error)
                events += [Event(trial_id=trial_id, outcome=told) for trial_id in self._going]
                self._steps = None
            if self._prunes or time.perf_counter() - began > RESULT_SECONDS:
                break  # what prunes hears of each step before the next
        over = self._steps is None
        return {"pack": self._pack, "events": events, "over": over, "rests": False}

    def _take(self) -> bool:
        take = self._board.take.remote(self.trial_id, self._place, self._pack, PATIENCE)
        offer = ray.get(take)
        if offer is None:
            return False
        self._pack, trials, refs = offer
        values = ray.get(list(refs.values()))
        inputs = dict(zip(refs, values, strict=True))
        self._going = {trial.id for trial in trials}
        self._steps = run_pack(
            self._task,
            trials,
            inputs,
            self._device,
            self._checkpoints,
            self._deadline,
            self._report,
            self._throttle,
        )
        self._begun = False
        return True

    def _report(self, progress: StepProgress) -> None:
        """For the driver's next look at the board; nobody waits for it."""
        self._board.report_step.remote(self.trial_id, progress)

    def _advance(self) -> list[Event]:
        """One step of the pack; at its end ``_steps`` is None."""
        assert self._steps is not None
        try:
            if self._begun:
                stop = ray.get(self._board.ended.remote()) if self._prunes else set()
                events = self._steps.send(stop & self._going)
                self._going -= stop
            else:
                self._begun = True
                events = next(self._steps)
        except StopIteration:
            self._steps = None
            return []
        for event in events:
            if isinstance(event.outcome, Failure) or event.outcome.step.done:
                self._going.discard(event.trial_id)
        if not self._going:
            self._steps = None
        return events

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: members are saved by ``run_pack``, each under its own id."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing, for the same reason."""
