"""The time that a pack's members are charged."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.execution import run_pack as module
from orchestrator.execution.run_pack import run_pack
from orchestrator.saving.checkpoint_writer import CheckpointWriter
from tasks.contract import Metric, State, Step, Task


class Clocked(Task):
    """A task whose packs take six seconds per step on its own clock; the member ``bad`` fails."""

    name, metric = "clocked", Metric(name="score", label="score", direction="maximize")

    def __init__(self) -> None:
        self.now = 0.0

    def start(self, trial: Any, inputs: Any, device: str) -> State:
        return State(values={"at": 0})

    def advance(self, pack: Sequence[Any], inputs: Any, device: str) -> list[tuple[State, Step]]:
        self.now += 6.0
        if len(pack) > 1 and any(member.trial.id == "bad" for member in pack):
            raise RuntimeError("too many")
        ats = [member.state.values["at"] + 1 for member in pack]
        return [
            (State(values={"at": at}), Step(at=at, metrics={"score": 1.0}, done=at == 2))
            for at in ats
        ]


@pytest.mark.parametrize(
    ("names", "seconds"),
    [
        (["a", "b", "c"], [2.0, 2.0]),
        (["a"], [6.0, 6.0]),
        (["a", "bad"], [6.0, 6.0]),  # the pack fails, so each member continues alone
    ],
)
def test_pack_members_share_the_step_time(
    monkeypatch: pytest.MonkeyPatch, names: list[str], seconds: list[float]
) -> None:
    task = Clocked()
    clock = SimpleNamespace(**{**vars(time), "perf_counter": lambda: task.now})
    monkeypatch.setattr(module, "time", clock)
    trials: Any = [SimpleNamespace(id=name) for name in names]
    kept: Any = SimpleNamespace(load=lambda *_: None, save=lambda *_: None, weights=None)
    steps: Any = run_pack(task, trials, {}, "cpu", CheckpointWriter(checkpoints=kept))
    charged: dict[str, list[float]] = {name: [] for name in names}
    for event in events_of(steps):
        charged[event.trial_id].append(event.outcome.seconds)
    assert charged == dict.fromkeys(names, seconds)


def events_of(steps: Any) -> Iterator[Any]:
    try:
        events = next(steps)
        while True:
            yield from events
            events = steps.send(set())
    except StopIteration:
        return
