"""What a step may return, and what fails its trial."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_sweep.task import ToyTask
from toy_variants import make_factory, stepping, variant

from orchestrator.contract_suite import Subject
from orchestrator.execution.events import Event, Failure
from orchestrator.execution.run_pack import run_pack
from orchestrator.execution.step_checks import check_advanced, check_results, misspelled_columns
from orchestrator.saving.checkpoint_writer import CheckpointWriter
from orchestrator.saving.checkpoints import Checkpoints
from tasks.contract import (
    Column,
    State,
    Step,
    Task,
    TrialError,
)

ERROR = Column(key="metric.error", label="squared error")


class Bare(Task):
    """A task that defines nothing."""

    name = "bare"


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (
            stepping(lambda m, s, step: (s, dataclasses.replace(step, at=2))),
            "Step.at must increase from step to step, but it is 2 after 2",
        ),
        (stepping(lambda m, s, step: s), "must return (State, Step) for each member, but returned"),
        (
            stepping(lambda m, s, step: (s, dataclasses.replace(step, metrics={"error": "low"}))),
            "the metric 'error' must be a number, but is 'low' at step 1",
        ),
        (
            stepping(
                lambda m, s, step: (s, dataclasses.replace(step, samples={"a": [1], "b": []}))
            ),
            "columns of Step.samples must have equal lengths",
        ),
        (
            variant(advance=lambda *_: []),
            "(State, Step) or Exception for each of the 1 members",
        ),
        (variant(start=lambda *_: {"w": 1}), "start must return a State, but returned {'w': 1}"),
        (
            stepping(lambda m, s, step: (State(arrays={"weights": [1, "a"]}), step)),
            "the state cannot be saved",
        ),
        (
            stepping(lambda m, s, step: (State(values={"rng": object()}), step)),
            "the state cannot be saved",
        ),
    ],
)
def test_invalid_step_fails_its_trial_with_a_reason(task: Any, reason: str, tmp_path: Path) -> None:
    trial = make_factory(task).trial({"epochs": 3}, 0)
    inputs = Subject(ToyTask(), "toy").inputs
    run = run_pack(
        task, [trial], inputs, "cpu", CheckpointWriter(checkpoints=Checkpoints(str(tmp_path)))
    )
    events: list[Event] = []
    try:
        events += next(run)
        while True:
            events += run.send(set())
    except StopIteration:
        pass
    assert isinstance(events[-1].outcome, Failure)
    assert reason in events[-1].outcome.reason


def test_step_values_become_plain_numbers() -> None:
    torch = pytest.importorskip("torch")
    step = Step(at=np.int64(2), metrics={"a": torch.tensor(0.5), "b": np.float32(1)})  # type: ignore[arg-type, dict-item]
    _, plain = check_advanced((State(), step), 1)
    assert (plain.at, plain.metrics) == (2, {"a": 0.5, "b": 1.0})
    assert {type(value) for value in plain.metrics.values()} == {float}
    with pytest.raises(TrialError, match=r"Step\.at must be an integer"):
        check_advanced((State(), Step(at=1.5, metrics={})), None)  # type: ignore[arg-type]
    with pytest.raises(TrialError, match="but returned None"):
        check_results(None, [])
    assert Bare().advance([], {}, "cpu") == []


def test_misspelled_column_is_named_and_a_missing_one_is_not() -> None:
    columns = (ERROR, Column(key="metric.acc", label=""), Column(key="metric.novel", label=""))
    (line,) = misspelled_columns(columns, {"error", "accuracy", "bleu1"})
    assert "metric.acc is empty" in line
    assert "'accuracy'" in line
    assert not misspelled_columns(columns, {"error", "acc", "bleu1"})
    assert not misspelled_columns(columns, {"error", "accuracy", "bleu1"}, {"acc": "param"})
