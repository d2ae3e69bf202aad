"""Checks of the progress that a task reports: the number of steps, and progress within a step."""

from __future__ import annotations

from orchestrator.contract_suite.subject import DEVICE, Subject, ViolationError
from tasks.contract import Member
from tasks.progress import Throttle, reporting


def num_steps(subject: Subject) -> str | None:
    """``num_steps`` is the ``at`` of the last step, unless it is None."""
    counts = [subject.task.num_steps(trial) for trial in subject.trials]
    for trial, count, steps in zip(subject.trials, counts, subject.alone, strict=True):
        if count is not None and count != steps[-1].at:
            raise ViolationError(
                f"num_steps of the trial {trial.id} is {count}, but its last step is at "
                f"{steps[-1].at}"
            )
    return "the number of steps is unknown" if None in counts else None


def within_step(subject: Subject) -> str | None:
    """Progress within a step increases from 0 to 1, and the numbers do not depend on it."""
    shares: list[float] = []
    trial, expected = subject.trials[0], subject.alone[0][0]
    members = [Member(trial=trial, state=subject.start(trial))]
    with reporting(lambda share, next_at: shares.append(share), Throttle(interval=0.0)):
        result = subject.task.advance(members, subject.inputs, DEVICE)[0]
    if isinstance(result, Exception):
        raise result
    if result[1].metrics != expected.metrics:
        raise ViolationError("a step gives other metrics when its progress is reported")
    if shares != sorted(shares) or not all(0.0 <= share <= 1.0 for share in shares):
        raise ViolationError(f"progress must increase from 0 to 1, but is {shares[:5]}")
    return None if shares else "no step reports its progress"
