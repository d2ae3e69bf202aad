"""The loop and the protocol that both engines keep.

An engine takes packs from a ``Work`` (the coordinator), computes their stages, advances
them step by step and hands every event back. Resume, pruning and separate failure are here, once.
"""

from __future__ import annotations

import math
import os
import subprocess
import time
import traceback
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from orchestrator.execution.deadline import limit
from orchestrator.execution.step_checks import check_advanced, check_results, check_state
from orchestrator.saving.checkpoints import Checkpoints, TimedStep
from orchestrator.saving.final_weights import Written, write_weights
from tasks.contract import Advanced, Inputs, Member, Stage, SweepError, Task, Trial, TrialError
from tasks.memory import give_back_memory
from tasks.progress import Throttle, reporting

if TYPE_CHECKING:
    from orchestrator.execution.measure import Usage
    from orchestrator.execution.stages import Origin, StageCache

NO_WEIGHTS = Written()


@dataclass(frozen=True, kw_only=True, slots=True)
class Pack:
    """Trials that run together in one slot."""

    id: int
    trials: tuple[Trial, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a trial ended without a result: one line, and the last lines of its traceback."""

    reason: str
    log: str
    out_of_memory: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One step of one trial, or its failure. A resumed trial's past steps come again first."""

    trial_id: str
    outcome: TimedStep | Failure
    replayed: bool = False
    weights: Written = NO_WEIGHTS  # of a trial's last step


@dataclass(frozen=True, kw_only=True, slots=True)
class StepProgress:
    """How far a pack's step is. It may come late or not at all: results do not depend on it."""

    num_steps: Mapping[str, int]  # by the id of each trial in the step, its steps before this one
    share: float  # 0 to 1
    next_at: int | None = None  # ``Step.at`` at the step's end, if not one more than the last


ProgressListener = Callable[[StepProgress], None]


class Work(Protocol):
    """What an engine sees of the coordinator."""

    task: Task
    checkpoints: Checkpoints
    cache: StageCache
    prunes: bool  # whether ``record`` may ask to stop members
    deadline: float | None  # seconds that a step or a stage may take
    full_packs: int | None  # that there are where each is as large as it may be, if that is known

    def next_pack(self) -> Pack | None:
        """The next pack, or None: nothing more now, and nothing ever once all have ended."""
        ...

    def split(self, pack: Pack, among: Collection[str] | None = None) -> list[Pack]:
        """Each member (of these ids) that has not ended as a pack of its own."""
        ...

    def trial_to_measure(self) -> Trial | None:
        """The largest of those that come first, by the task's estimate; it stays to be run."""
        ...

    def measured(
        self,
        trial: Trial,
        events: Sequence[Event],
        usage: Usage | None,
    ) -> None:
        """That trial made a step, saved, and used so much memory."""
        ...

    def resize(self, num_slots: int, slot_bytes: int | None, line: str) -> None:
        """From now on there are so many slots of so much memory; a line that tells the user."""
        ...

    def is_over(self) -> bool:
        """Whether no pack will come any more, whatever is reported."""
        ...

    def should_halt(self) -> bool:
        """Whether to stop now (interrupted, or out of budget), leaving checkpoints behind."""
        ...

    def record(self, pack: Pack, events: Sequence[Event]) -> set[str]:
        """Take the events in; the ids of members to stop."""
        ...

    def fail_pack(self, pack: Pack, error: Failure) -> None:
        """What is left of the pack failed as a whole."""
        ...

    def stage_done(self, stage: Stage, origin: Origin) -> None:
        """A stage was computed, or read from the disk."""
        ...

    def pack_runs(self, pack: Pack) -> None:
        """A worker runs this pack, whose stages are there."""
        ...

    def stage_progressed(self, stage: Stage, share: float) -> None:
        """So much of a stage is computed; 0 when that begins."""
        ...

    def progressed(self, progress: StepProgress) -> None:
        """A pack is within a step."""
        ...


class Engine(Protocol):
    """Runs all the work there is."""

    num_slots: int  # packs that run at a time; known after ``start``
    slot_bytes: int | None  # memory of a slot's device, if that is known; likewise

    def start(
        self, max_packs: int | None, wait_for_nodes: Callable[[str], None], halt: Callable[[], bool]
    ) -> None:
        """Bring up what the engine runs on; at most so many packs can run side by side.

        ``wait_for_nodes`` takes a line for the user if machines have yet to be started; ``halt``
        tells whether to give up waiting for them.
        """
        ...

    def num_blind_nodes(self, path: str) -> int:
        """How many machines do not see this file of the driver's: their checkpoints are theirs."""
        ...

    def close(self) -> None:
        """Leave nothing running."""
        ...

    def run(self, work: Work) -> None:
        """Return when the work is over or halted."""
        ...


def failure(error: BaseException) -> Failure:
    """An exception as the row will tell it."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    text = str(error).strip().splitlines()
    first = text[0] if text else type(error).__name__
    known = isinstance(error, SweepError)
    reason = first if known else f"{type(error).__name__}: {first}" if text else first
    short = _ran_out_of_memory(error)
    return Failure(reason=reason, log="".join(lines)[-4000:], out_of_memory=short)


def _ran_out_of_memory(error: BaseException) -> bool:
    """By Python, by CUDA (``torch.OutOfMemoryError``), or by torch's allocator on the CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def run_pack(
    task: Task,
    trials: Sequence[Trial],
    inputs: Inputs,
    device: str,
    checkpoints: Checkpoints,
    deadline: float | None = None,
    on_progress: ProgressListener = lambda progress: None,
    throttle: Throttle | None = None,
) -> Generator[list[Event], set[str] | None, None]:
    """Advance a pack until every member is done, failed or stopped.

    Yields the events of each step; takes back the ids of members to stop, if any. Each member's
    state is saved before its step is told, so what was told is never computed again, and the
    weights of one that is done are written before. Between two events, ``on_progress`` gets what
    the task reports within a step, held back by the ``throttle``.
    """
    throttle = throttle or Throttle()
    members: list[Member] = []
    history: dict[str, list[TimedStep]] = {}
    events: list[Event] = []
    for trial in trials:
        try:
            saved = checkpoints.load(trial.id, device)
            with limit(deadline, "the start"):
                state, steps = saved or (check_state(task.start(trial, inputs, device)), [])
        except Exception as error:
            events.append(Event(trial_id=trial.id, outcome=failure(error)))
            continue
        members.append(Member(trial=trial, state=state))
        history[trial.id] = steps
        events += [Event(trial_id=trial.id, outcome=s, replayed=True) for s in steps]
    if events:
        stop = (yield events) or set()
        members = [m for m in members if m.trial.id not in stop]

    def advance(group: Sequence[Member]) -> Sequence[Advanced | Exception]:
        num_steps = {member.trial.id: len(history[member.trial.id]) for member in group}

        def receive(share: float, next_at: int | None) -> None:
            on_progress(StepProgress(num_steps=num_steps, share=share, next_at=next_at))

        with limit(deadline, "a step"), reporting(receive, throttle):
            return check_results(task.advance(group, inputs, device), group)

    count = getattr(task, "num_steps", None)
    last_steps = {m.trial.id: None if count is None else count(m.trial) for m in members}
    while members:
        going: list[Member] = []
        stop = set()
        for group, results, seconds in _advance(members, advance):
            events = []
            for member, result in zip(group, results, strict=True):
                trial_id = member.trial.id
                result = _checked(result, history[trial_id], last_steps[trial_id])
                if isinstance(result, Failure):
                    events.append(Event(trial_id=trial_id, outcome=result))
                    continue
                state, step = result
                timed = TimedStep(step=step, seconds=seconds / len(group))
                history[trial_id].append(timed)
                # What is not finite has failed: it must leave no checkpoint to go on from.
                is_finite = all(math.isfinite(value) for value in step.metrics.values())
                weights = NO_WEIGHTS
                if step.done and is_finite:
                    weights = write_weights(checkpoints.weights, task, member.trial, state)
                elif is_finite:
                    try:
                        checkpoints.save(trial_id, state, history[trial_id], member.trial)
                    except (TypeError, ValueError, AttributeError) as error:
                        events.append(Event(trial_id=trial_id, outcome=_cannot_save(error)))
                        continue
                    going.append(Member(trial=member.trial, state=state))
                events.append(Event(trial_id=trial_id, outcome=timed, weights=weights))
            stop |= (yield events) or set()
        members = [m for m in going if m.trial.id not in stop]


def _cannot_save(error: Exception) -> Failure:
    """Why a state that a task returned makes no checkpoint."""
    reason = TrialError(
        f"the state cannot be saved ({error}); its arrays must be numpy arrays or torch tensors, "
        "its values numbers, text, or lists and dicts of them"
    )
    reason.__cause__ = error
    return failure(reason)


def _checked(
    result: Advanced | Failure, history: Sequence[TimedStep], last: int | None
) -> Advanced | Failure:
    """The result, or why a step like this one fails its trial."""
    if isinstance(result, Failure):
        return result
    try:
        return check_advanced(result, history[-1].step.at if history else None, last)
    except TrialError as error:
        return failure(error)


def _advance(
    members: Sequence[Member],
    advance: Callable[[Sequence[Member]], Sequence[Advanced | Exception]],
) -> Iterator[tuple[Sequence[Member], Sequence[Advanced | Failure], float]]:
    """One step of all members at once; where that breaks, of each alone, which shows whose it was.

    Yields (members, results, seconds).
    """
    results: Sequence[Advanced | Failure] | None
    began = time.perf_counter()
    try:
        results = [failure(r) if isinstance(r, Exception) else r for r in advance(members)]
    except Exception as error:
        results = [failure(error)] if len(members) == 1 else None
    if results is not None:
        yield members, results, time.perf_counter() - began
        return
    give_back_memory()  # out here: the error's frames held what the pack had allocated
    for member in members:
        yield from _advance([member], advance)


def pick_device() -> str:
    """The torch device of this process: its first GPU where there is one."""
    try:
        import torch
    except ImportError:
        return "cpu"
    if torch.cuda.is_available():
        return "cuda:0"
    if torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def device_bytes() -> int | None:
    """Memory of this machine's smallest GPU, or its main memory where it has none."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return min(int(line) for line in told.stdout.split()) * 2**20
    except (OSError, ValueError, subprocess.SubprocessError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def group_by_key(task: Task, trials: Sequence[Trial]) -> Mapping[object, list[Trial]]:
    """Trials that may run together, in order."""
    groups: dict[object, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(task.pack_key(trial), []).append(trial)
    return groups
