"""The loop that both engines run on a pack: resume, pruning and separate failure, once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence

from orchestrator.execution.deadline import limit
from orchestrator.execution.events import (
    NO_WEIGHTS,
    Event,
    Failure,
    ProgressListener,
    StepProgress,
    failure,
)
from orchestrator.execution.step_checks import check_advanced, check_results, check_state
from orchestrator.saving.checkpoint_writer import CheckpointWriter
from orchestrator.saving.checkpoints import TimedStep
from orchestrator.saving.final_weights import write_weights
from tasks.contract import Advanced, Inputs, Member, Task, Trial, TrialError
from tasks.memory import give_back_memory
from tasks.progress import Throttle, reporting


def run_pack(
    task: Task,
    trials: Sequence[Trial],
    inputs: Inputs,
    device: str,
    writer: CheckpointWriter,
    deadline: float | None = None,
    on_progress: ProgressListener = lambda progress: None,
    throttle: Throttle | None = None,
) -> Generator[list[Event], set[str] | None, None]:
    """Advance a pack until every member is done, failed or stopped.

    Yields the events of each step; takes back the ids of members to stop, if any. The ``writer``
    saves each member's state every few seconds; whoever stops asking for events and wants to
    continue later calls its ``flush``. Weights are written before the last step is yielded. Between
    two events, ``on_progress`` gets what the task reports within a step, held back by ``throttle``.
    """
    throttle = throttle or Throttle()
    checkpoints = writer.checkpoints
    writer.start()
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

    last_steps = {m.trial.id: task.num_steps(m.trial) for m in members}
    while members:
        going: list[Member] = []
        stop = set()
        for group, results, seconds in _advance(members, advance):
            events = []
            for member, result in zip(group, results, strict=True):
                trial_id = member.trial.id
                writer.forget(trial_id)  # an earlier step: the trial has now come further, or ended
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
                    member = Member(trial=member.trial, state=state)
                    try:
                        writer.step(member, history[trial_id])
                    except (TypeError, ValueError, AttributeError) as error:
                        events.append(Event(trial_id=trial_id, outcome=_cannot_save(error)))
                        continue
                    going.append(member)
                events.append(Event(trial_id=trial_id, outcome=timed, weights=weights))
            stop |= (yield events) or set()
        for trial_id in stop:
            writer.forget(trial_id)
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
