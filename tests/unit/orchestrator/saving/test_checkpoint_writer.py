"""When the members of a pack are saved."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from orchestrator.saving import checkpoint_writer as module
from orchestrator.saving.checkpoint_writer import CheckpointWriter
from orchestrator.saving.checkpoints import Checkpoints, TimedStep
from tasks.contract import Member, State, Step


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now.now))
    return now


def member(trial_id: str, at: int, value: object = None) -> tuple[Member, list[TimedStep]]:
    trial: Any = SimpleNamespace(id=trial_id, seed=0, param_values=dict)
    arrays = {"x": np.full(2, at) if value is None else value}
    steps = [TimedStep(step=Step(at=n, metrics={}), seconds=0.0) for n in range(1, at + 1)]
    return Member(trial=trial, state=State(arrays=arrays)), steps


def last_steps(checkpoints: Checkpoints) -> dict[str, int]:
    found = {}
    for trial_id in checkpoints.trial_ids():
        loaded = checkpoints.load(trial_id, "cpu")
        assert loaded is not None
        found[trial_id] = len(loaded[1])
    return found


def test_saves_the_first_step_at_once_and_later_ones_after_the_interval(
    tmp_path: Path, clock: SimpleNamespace
) -> None:
    checkpoints = Checkpoints(str(tmp_path))
    writer = CheckpointWriter(checkpoints=checkpoints, interval=5.0)
    writer.step(*member("a", 1))
    writer.step(*member("a", 2))
    clock.now += 4.9
    writer.step(*member("a", 3))
    writer.step(*member("b", 1))
    assert last_steps(checkpoints) == {"a": 1, "b": 1}
    assert not writer.is_flushed()
    clock.now += 0.2
    writer.step(*member("a", 4))
    assert last_steps(checkpoints) == {"a": 4, "b": 1}
    assert writer.is_flushed()


def test_flush_saves_the_last_step_of_each_member_that_still_runs(
    tmp_path: Path, clock: SimpleNamespace
) -> None:
    checkpoints = Checkpoints(str(tmp_path))
    writer = CheckpointWriter(checkpoints=checkpoints, interval=5.0)
    for at in (1, 2, 3):
        for trial_id in "abc":
            writer.step(*member(trial_id, at))
    writer.discard("b")  # it has ended
    writer.flush()
    assert last_steps(checkpoints) == {"a": 3, "b": 1, "c": 3}
    writer.flush()
    writer.start()  # another pack
    writer.step(*member("a", 4))
    assert last_steps(checkpoints)["a"] == 4


def test_an_interval_of_zero_saves_every_step(tmp_path: Path, clock: SimpleNamespace) -> None:
    checkpoints = Checkpoints(str(tmp_path))
    writer = CheckpointWriter(checkpoints=checkpoints, interval=0.0)
    for at in (1, 2, 3):
        writer.step(*member("a", at))
        assert last_steps(checkpoints) == {"a": at}


def test_a_state_that_cannot_be_saved_later_leaves_the_earlier_checkpoint(
    tmp_path: Path, clock: SimpleNamespace
) -> None:
    checkpoints = Checkpoints(str(tmp_path))
    writer = CheckpointWriter(checkpoints=checkpoints, interval=5.0)
    with pytest.raises(TypeError):
        writer.step(*member("a", 1, value="text"))
    writer.step(*member("b", 1))
    writer.step(*member("b", 2, value="text"))
    writer.flush()
    assert last_steps(checkpoints) == {"b": 1}
