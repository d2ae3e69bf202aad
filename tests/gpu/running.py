"""Run packs of trials on a device, step by step, without an engine."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from gpu.subjects import Subject

from tasks.contract import Inputs, Member, Stage, State, Step, Task, Trial

#: Returns the device of a step, by its number from 0.
DeviceOf = Callable[[int], str]


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The last state of a trial and its last step."""

    state: State
    step: Step


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """Turn off TF32, which convolutions use by default and which has 10 bits of precision."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer names of the setting
        before = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.backends.cudnn.allow_tf32 = before


@contextlib.contextmanager
def stack_warnings() -> Iterator[list[str]]:
    """Yield the warnings about stacks that fail and whose members are then trained alone."""
    seen: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: seen.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tasks.stacks")
    logger.addHandler(handler)
    try:
        yield seen
    finally:
        logger.removeHandler(handler)


@cache
def _stage_value(stage: Stage, device: str) -> Any:
    options = {"device": device} if stage.on_device else {}
    return stage.function(*(_stage_value(n, device) for n in stage.needs), **stage.args, **options)


def inputs_of(task: Task, trials: Sequence[Trial], device: str) -> Inputs:
    """Compute the stages of trials on a device, each once; those of the CPU once for all."""
    return {
        stage: _stage_value(stage, device if stage.on_device else "cpu")
        for trial in trials
        for stage in task.stages(trial)
    }


def run(
    task: Task,
    trials: Sequence[Trial],
    device: str | DeviceOf,
    move: Callable[[State, str], State] | None = None,
) -> list[Finished]:
    """Run a pack to its end. ``move`` takes every state to the device of the next step."""

    def device_of(number: int) -> str:
        return device if isinstance(device, str) else device(number)

    where = device_of(0)
    inputs = inputs_of(task, trials, where)
    members = [Member(trial=t, state=task.start(t, inputs, where)) for t in trials]
    finished: dict[str, Finished] = {}
    number = 0
    while members:
        going = []
        for member, result in zip(members, task.advance(members, inputs, where), strict=True):
            if isinstance(result, Exception):
                raise result
            state, step = result
            if step.done:
                finished[member.trial.id] = Finished(state=state, step=step)
            else:
                going.append(Member(trial=member.trial, state=state))
        members, number = going, number + 1
        if move is not None and members:
            where = device_of(number)
            inputs = inputs_of(task, trials, where)
            members = [Member(trial=m.trial, state=move(m.state, where)) for m in members]
    return [finished[trial.id] for trial in trials]


@cache
def _run_once(name: str, device: str, together: bool) -> list[Finished]:
    subject = _known[name]
    packs = [subject.trials] if together else [(trial,) for trial in subject.trials]
    return [done for pack in packs for done in run(subject.task, pack, device)]


_known: dict[str, Subject] = {}


def finished(subject: Subject, device: str, *, together: bool = True) -> list[Finished]:
    """Run a subject's trials as one pack or one by one; the same run is made only once."""
    _known[subject.name] = subject
    return _run_once(subject.name, device, together)
