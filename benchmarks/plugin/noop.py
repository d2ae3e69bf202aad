"""A task that does nothing or sleeps, to measure the overhead of the orchestrator."""

from __future__ import annotations

import os
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.contract import (
    Advanced,
    Column,
    Inputs,
    Member,
    Metric,
    State,
    Step,
    Task,
    Trial,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """Numbers that distinguish trials."""

    x: int = 0
    """Varied by the grid."""
    a: float = 0.0
    """Varied by the search."""
    b: float = 0.0
    """Varied by the search."""
    c: float = 0.0
    """Varied by the search."""
    steps: int = 1
    """Number of steps of a trial."""
    seconds: float = 0.0
    """Sleep of each step. If > 0, metrics record the process and the time of the trial."""


class NoopTask(Task):
    """Report one number per step."""

    name = "noop"
    version = "1"
    Params = Params
    metric = Metric(name="value", label="value", direction="maximize")
    columns = (
        Column(key="param.x", label="x", format="integer"),
        Column(key="metric.value", label="value", format="number"),
    )

    def pack_key(self, trial: Trial) -> Hashable:
        """Return one key for all trials."""
        return ()

    def start(self, trial: Trial, inputs: Inputs, device: str) -> State:
        """Return a state with the current time."""
        return State(values={"began": time.time(), "at": 0})

    def advance(
        self, pack: Sequence[Member], inputs: Inputs, device: str
    ) -> Sequence[Advanced | Exception]:
        """Sleep once for all members, and return their results."""
        time.sleep(max(member.trial.params.seconds for member in pack))
        return [self._advance(member.trial.params, member.state) for member in pack]

    def _advance(self, params: Any, state: State) -> Advanced:
        at = state.values["at"] + 1
        metrics = {"value": params.a}
        if params.seconds:
            began = state.values["began"]
            metrics |= {"pid": os.getpid(), "began": began, "lasted": time.time() - began}
        state = State(values=state.values | {"at": at})
        return state, Step(at=at, metrics=metrics, done=at >= params.steps)


TASK = NoopTask()
