"""A task that fails on demand and leaves a note of everything it computes.

The parameter ``notes`` names a folder; each note is a file
``<kind>.<what>.<pid>.<number>.<host>``. A test counts from them what was computed and finds the
process to kill.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tasks.contract import (
    Advanced,
    Column,
    Inputs,
    Member,
    Metric,
    Stage,
    State,
    Step,
    Task,
    Trial,
    TrialError,
    progress_part,
    report_progress,
)
from tasks.interrupt import check_interrupt
from tasks.process_group import current

_number = itertools.count()


def note(folder: str, kind: str, what: object) -> None:
    """Leave a note that this process did something."""
    if folder:
        host = os.uname().nodename.partition(".")[0]
        when = f"{next(_number)}-{time.monotonic_ns()}"
        name = f"{kind}.{what}.{os.getpid()}.{when}.{host}"
        (Path(folder) / name).touch()


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """What a trial does, and how it fails."""

    level: int = 0
    """Moves the result."""
    steps: int = 3
    """Steps of a trial. >= 1."""
    seconds: float = 0.0
    """Sleep a step. >= 0."""
    stage: int = 0
    """Which shared stage it reads."""
    stages: int = 1
    """How many stages it reads, from that one on. >= 1."""
    stage_seconds: float = 0.0
    """Sleep of a stage. >= 0."""
    checks: bool = True
    """Whether a stage and a step check for an interrupt while they sleep."""
    on_device: bool = False
    """Whether the stage asks for the device."""
    fail: Literal[
        "no", "raise", "nan", "exit", "memory", "crowd", "balloon", "hang", "stuck", "stage"
    ] = "no"
    """How the trial with ``level == fail_level`` fails at its second step, or that stage 1 fails.
    Nothing fails once there is a file ``healed`` beside the notes."""
    fail_level: int = 1
    """The level that fails."""
    scratch: int = 0
    """Bytes of device memory that a member claims to need."""
    used: int = 0
    """Bytes that a member's step really fills."""
    kept: int = 0
    """Bytes of weights, beside the number that is its result."""
    notes: str = ""
    """The folder of notes; none for an empty name."""


def sleep(seconds: float, checks: bool) -> None:
    """Sleep in ten parts and report each, like a long loop over batches."""
    for tenth in range(10):
        report_progress(tenth, 10)
        until = time.monotonic() + seconds / 10
        while checks and (left := until - time.monotonic()) > 0:
            check_interrupt()
            time.sleep(min(left, 0.02))
        time.sleep(max(0.0, until - time.monotonic()))


def prepare(
    *, broken: bool, stage: int, seconds: float, checks: bool, notes: str
) -> Mapping[str, Any]:
    """A shared stage: random numbers, after a while."""
    note(notes, "stage", stage)
    sleep(seconds, checks)
    if broken:
        raise ValueError("this stage is broken on purpose")
    note(notes, "stage-done", stage)
    return {"numbers": np.random.default_rng(stage).normal(size=50_000)}


def prepare_on_device(
    *, broken: bool, stage: int, seconds: float, checks: bool, notes: str, device: str
) -> Mapping[str, Any]:
    """The same, on a device."""
    return prepare(broken=broken, stage=stage, seconds=seconds, checks=checks, notes=notes)


class FragileTask(Task):
    """Adds numbers up, slowly, and fails in the way that ``fail`` names."""

    name = "fragile"
    version = "1"
    Params = Params
    metric = Metric(name="total", label="total", direction="maximize")
    columns = (
        Column(key="param.level", label="level", format="integer"),
        Column(key="metric.total", label="total", format="number"),
    )

    def stage(self, trial: Trial, number: int = 0) -> Stage:
        """A stage that the trial reads. Only the numbers of the first one are used."""
        params: Params = trial.params
        return Stage(
            function=prepare_on_device if params.on_device else prepare,
            args={
                "broken": params.fail == "stage" and params.stage == 1,
                "stage": params.stage + number,
                "seconds": params.stage_seconds,
                "checks": params.checks,
                "notes": params.notes,
            },
            on_device=params.on_device,
        )

    def stages(self, trial: Trial) -> Sequence[Stage]:
        """The first ``stages`` ones."""
        return [self.stage(trial, number) for number in range(trial.params.stages)]

    def pack_key(self, trial: Trial) -> Hashable:
        """One pack per stage; a single pack if a stage fails."""
        return 0 if trial.params.fail == "stage" else trial.params.stage

    def estimate_memory(self, trial: Trial) -> int:
        """The parameter ``scratch``."""
        return int(trial.params.scratch)

    def num_steps(self, trial: Trial) -> int:
        """The parameter ``steps``."""
        return int(trial.params.steps)

    def check_gpus(self, trial: Trial, num_gpus: int) -> None:
        """Several processes do the same, and meet at each step."""

    def start(self, trial: Trial, inputs: Inputs, device: str) -> State:
        """Nothing added up yet."""
        note(trial.params.notes, "start", trial.id)
        return State(arrays={"total": np.zeros(1)}, values={"step": 0})

    def advance(
        self, pack: Sequence[Member], inputs: Inputs, device: str
    ) -> Sequence[Advanced | Exception]:
        """One step of each."""
        for member in pack:
            note(member.trial.params.notes, "begin", member.trial.id)
        held = [np.ones(member.trial.params.used, np.uint8) for member in pack]
        seconds = max(member.trial.params.seconds for member in pack)
        with progress_part(0, 10, 9):
            sleep(seconds, pack[0].trial.params.checks)
        with progress_part(9, 10):
            advanced = super().advance(pack, inputs, device)
        del held
        for member in pack:
            note(member.trial.params.notes, "rest", member.trial.id)
        return advanced

    def step(self, trial: Trial, state: State, inputs: Inputs, device: str) -> Advanced:
        """Add one more number."""
        params: Params = trial.params
        at = state.values["step"] + 1
        note(params.notes, "step", f"{trial.id}-{at}")
        breaks = params.fail != "no" and params.level == params.fail_level and at == 2
        if breaks and not Path(params.notes, "..", "healed").exists():
            _break(params.fail, params.notes, trial.id)
        _meet(at)
        number = inputs[self.stage(trial)]["numbers"][params.level * 7 + at + trial.seed]
        total = state.arrays["total"] + number
        value = float("nan") if params.fail == "nan" and params.level == 1 else float(total[0])
        done = at >= params.steps
        state = State(arrays={"total": total}, values={"step": at})
        return state, Step(at=at, metrics={"total": value}, done=done)

    def weights(self, trial: Trial, state: State) -> Mapping[str, Any]:
        """The total, and ``kept`` bytes of padding."""
        padding = np.zeros(trial.params.kept, np.uint8)
        return {"total": state.arrays["total"], "padding": padding}


def _meet(at: int) -> None:
    """Wait for the other processes of the trial, which must be at the same step."""
    group = current()
    if group.size == 1:
        return
    import torch  # other trials do not need it, and its import takes seconds

    others = group.gather(torch.tensor([at])).tolist()
    if others != [at] * group.size:
        raise TrialError(f"the processes are at the steps {others}")


def _break(how: str, notes: str, trial_id: str) -> None:
    if how == "crowd" and _is_crowded(notes, trial_id):
        raise MemoryError("another process has it")
    if how == "raise":
        raise ValueError("broken on purpose")
    if how == "exit":
        print("the last line of a dying worker", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "memory":
        np.ones(10**14)
    if how == "balloon":  # really fills the memory
        held = []
        while True:
            held.append(np.ones(2**24))
            time.sleep(0.02)
    if how == "hang":
        time.sleep(1000)
    if how == "stuck":  # like native code that never returns
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        time.sleep(1000)


def _is_crowded(notes: str, trial_id: str) -> bool:
    """Whether another process is in the middle of a step.

    The first time, two such trials wait for each other in the middle of their steps. So they
    overlap even if one of the workers starts late.
    """
    found = [path.name.split(".") for path in Path(notes).iterdir()]
    if any(name[:2] == ["meet", trial_id] for name in found):
        return _is_one_busy(notes)
    note(notes, "meet", trial_id)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        names = [path.name.split(".") for path in Path(notes).iterdir()]
        if len({name[2] for name in names if name[0] == "meet"}) > 1:
            return True
        time.sleep(0.02)
    return False


def _is_one_busy(notes: str) -> bool:
    """Whether another process has started a step and not finished it."""
    names = [path.name.split(".") for path in Path(notes).iterdir()]
    busy = {n[2] for n in names if n[0] == "begin"} - {str(os.getpid())}
    return any(
        sum(n[0] == "begin" and n[2] == pid for n in names)
        > sum(n[0] == "rest" and n[2] == pid for n in names)
        for pid in busy
    )


TASK = FragileTask()
