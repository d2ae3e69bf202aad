"""Runs a pack step by step. Both engines use this loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence

from orchestrator.execution.events import (
    NO_WEIGHTS,
    Event,
    Failure,
    ProgressListener,
    StepProgress,
    to_failure,
)
from orchestrator.execution.step_checks import check_advanced, check_results, check_state
from orchestrator.execution.timeout import timeout
from orchestrator.execution.trial_processes import TrialProcesses
from orchestrator.saving.checkpoint_writer import CheckpointWriter
from orchestrator.saving.checkpoints import TimedStep
from orchestrator.saving.final_weights import write_weights
from tasks.contract import Advanced, Inputs, Member, Step, Task, Trial, TrialError
from tasks.memory import release_memory
from tasks.progress import Throttle, reporting


def run_pack(
    task: Task,
    trials: Sequence[Trial],
    inputs: Inputs,
    device: str,
    writer: CheckpointWriter,
    step_timeout: float | None = None,
    on_progress: ProgressListener = lambda progress: None,
    throttle: Throttle | None = None,
    processes: TrialProcesses | None = None,
) -> Generator[list[Event], set[str] | None, None]:
    """Advance a pack until every member is done, failed or stopped.

    Yields the events of each step. The caller may send the ids of members to stop. A caller that
    stops early and wants to resume later must call ``writer.flush()``.

    Args:
        task: the task of the trials.
        trials: the members of the pack.
        inputs: the values of the shared stages that the trials need.
        device: the torch device to run on.
        writer: saves checkpoints, every few seconds.
        step_timeout: the seconds that a step may take, None for no limit.
        on_progress: receives the task's progress within a step.
        throttle: limits how often ``on_progress`` is called.
        processes: compute the steps together with this process, None for this one alone.
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
            with timeout(step_timeout, "the start"):
                state, steps = saved or (check_state(task.start(trial, inputs, device)), [])
        except Exception as error:
            events.append(Event(trial_id=trial.id, outcome=to_failure(error)))
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

        with timeout(step_timeout, "a step"), reporting(receive, throttle):
            return check_results((processes or task).advance(group, inputs, device), group)

    last_steps = {m.trial.id: task.num_steps(m.trial) for m in members}
    while members:
        continuing: list[Member] = []
        stop = set()
        for group, results, seconds in _advance(members, advance):
            events = []
            for member, result in zip(group, results, strict=True):
                trial_id = member.trial.id
                writer.discard(trial_id)  # of an earlier step
                result = _check_step(result, history[trial_id], last_steps[trial_id])
                if isinstance(result, Failure):
                    events.append(Event(trial_id=trial_id, outcome=result))
                    continue
                state, step = result
                timed = _add_step(history[trial_id], step, seconds / len(group))
                # A metric that is not finite fails the trial, so nothing is saved.
                is_finite = all(math.isfinite(value) for value in step.metrics.values())
                weights = NO_WEIGHTS
                if step.done and is_finite:
                    weights = write_weights(checkpoints.weights, task, member.trial, state)
                elif is_finite:
                    member = Member(trial=member.trial, state=state)
                    try:
                        writer.step(member, history[trial_id])
                    except (TypeError, ValueError, AttributeError) as error:
                        events.append(Event(trial_id=trial_id, outcome=_save_failure(error)))
                        continue
                    continuing.append(member)
                events.append(Event(trial_id=trial_id, outcome=timed, weights=weights))
            stop |= (yield events) or set()
        for trial_id in stop:
            writer.discard(trial_id)
        members = [m for m in continuing if m.trial.id not in stop]


def _add_step(history: list[TimedStep], step: Step, seconds: float) -> TimedStep:
    """Add a step to the past ones; it may replace the last."""
    if history and history[-1].step.at == step.at:
        seconds += history.pop().seconds
    history.append(TimedStep(step=step, seconds=seconds))
    return history[-1]


def _save_failure(error: Exception) -> Failure:
    """Return the failure of a trial whose state cannot be saved."""
    reason = TrialError(
        f"the state cannot be saved ({error}); its arrays must be numpy arrays or torch tensors, "
        "and its values numbers, strings, or lists and dicts of them"
    )
    reason.__cause__ = error
    return to_failure(reason)


def _check_step(
    result: Advanced | Failure, history: Sequence[TimedStep], last: int | None
) -> Advanced | Failure:
    """Return the result, or a failure if it is invalid."""
    if isinstance(result, Failure):
        return result
    try:
        return check_advanced(result, history[-1].step.at if history else None, last)
    except TrialError as error:
        return to_failure(error)


def _advance(
    members: Sequence[Member],
    advance: Callable[[Sequence[Member]], Sequence[Advanced | Exception]],
) -> Iterator[tuple[Sequence[Member], Sequence[Advanced | Failure], float]]:
    """Advance all members together; if that fails, each separately, to find the one that failed.

    Yields (members, results, seconds).
    """
    results: Sequence[Advanced | Failure] | None
    start = time.perf_counter()
    try:
        results = [to_failure(r) if isinstance(r, Exception) else r for r in advance(members)]
    except Exception as error:
        results = [to_failure(error)] if len(members) == 1 else None
    if results is not None:
        yield members, results, time.perf_counter() - start
        return
    release_memory()  # outside of ``except``, whose traceback keeps the pack's memory alive
    for member in members:
        yield from _advance([member], advance)
