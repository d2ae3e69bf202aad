"""A function's yields become the steps of a trial, and its samples and checkpoint their rest."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.execution.events import Event, Failure
from orchestrator.execution.run_pack import run_pack
from orchestrator.functions.declaration import declaration_of, task
from orchestrator.functions.run import checkpoint, samples
from orchestrator.functions.task import function_task
from orchestrator.saving.checkpoint_writer import CheckpointWriter
from orchestrator.saving.checkpoints import Checkpoints
from tasks.contract import Source, Trial

SOURCE = Source(name="none", fingerprint="1")


class Runner:
    """Runs one trial of a function as the engines do, in a folder of checkpoints."""

    def __init__(self, function: Callable[..., Any], folder: Path, **params: Any) -> None:
        self.task = function_task(function, declaration_of(function, None, None))
        self.checkpoints = Checkpoints(str(folder))
        self.trial = Trial(
            task=self.task.name,
            version=self.task.version,
            params=self.task.Params(**params),
            seed=0,
            model=SOURCE,
            data=SOURCE,
        )

    def events(self, most: int | None = None) -> list[Event]:
        """The events up to so many; a process that continues later calls this again."""
        writer = CheckpointWriter(checkpoints=self.checkpoints, interval=0.0)
        found: list[Event] = []
        steps = run_pack(self.task, [self.trial], {}, "cpu", writer)
        for events in steps:
            found += events
            if most is not None and len(found) >= most:
                steps.close()
                break
        return found

    def steps(self) -> list[tuple[int, dict[str, float], bool]]:
        """(at, metrics, done) of the steps as they are recorded: a later one replaces its like."""
        found = {}
        for event in self.events():
            assert not isinstance(event.outcome, Failure), event.outcome.reason
            step = event.outcome.step
            found[step.at] = (step.at, dict(step.metrics), step.done)
        return list(found.values())

    def reason(self) -> str:
        """Why the trial failed."""
        outcome = self.events()[-1].outcome
        assert isinstance(outcome, Failure)
        return outcome.reason


metric = task(metric="error", maximize=False)


def test_a_plain_function_is_one_step(tmp_path: Path) -> None:
    @metric
    def fit(lr: float = 0.5) -> dict[str, float]:
        return {"error": lr, "other": 1.0}

    assert Runner(fit, tmp_path, lr=0.25).steps() == [(1, {"error": 0.25, "other": 1.0}, True)]


def test_a_number_is_the_metric(tmp_path: Path) -> None:
    @metric
    def fit(lr: float = 0.5) -> float:
        return lr

    assert Runner(fit, tmp_path).steps() == [(1, {"error": 0.5}, True)]


def test_tensors_and_arrays_are_numbers(tmp_path: Path) -> None:
    @metric
    def fit(lr: float = 0.5) -> dict[str, Any]:
        samples(error=torch.tensor([True, False]))
        loss = torch.tensor(2.0, requires_grad=True) * 2
        return {"error": torch.tensor(0.5), "loss": loss, "other": np.float32(1.5)}

    assert Runner(fit, tmp_path).steps() == [(1, {"error": 0.5, "loss": 4.0, "other": 1.5}, True)]


@metric
def count(epochs: int = 3) -> Iterator[dict[str, float]]:
    for epoch in range(epochs):
        yield {"error": 1.0 / (epoch + 1)}


def test_each_yield_is_a_step_and_the_last_one_ends(tmp_path: Path) -> None:
    assert Runner(count, tmp_path).steps() == [
        (1, {"error": 1.0}, False),
        (2, {"error": 0.5}, False),
        (3, {"error": 1 / 3}, True),
    ]
    events = Runner(count, tmp_path / "again").events()
    assert [e.outcome.step.at for e in events if not isinstance(e.outcome, Failure)] == [1, 2, 3, 3]


def test_what_is_returned_joins_the_last_step(tmp_path: Path) -> None:
    @metric
    def fit(lr: float = 1.0) -> Generator[dict[str, float], None, dict[str, float]]:
        yield {"loss": 2.0}
        yield {"loss": 1.0}
        samples(error=[0.0, 1.0])
        return {"error": 0.5}

    runner = Runner(fit, tmp_path)
    assert runner.steps() == [
        (1, {"loss": 2.0}, False),
        (2, {"loss": 1.0, "error": 0.5}, True),
    ]
    last = Runner(fit, tmp_path / "again").events()[-1].outcome
    assert not isinstance(last, Failure)
    assert last.step.samples == {"error": [0.0, 1.0], "sample": [0, 1]}


def test_with_a_known_number_of_steps_the_last_yield_ends(tmp_path: Path) -> None:
    @task(metric="error", maximize=False, steps="epochs")
    def fit(epochs: int = 2) -> Iterator[float]:
        for _ in range(epochs):
            yield 1.0

    events = Runner(fit, tmp_path).events()
    assert [e.outcome.step.done for e in events if not isinstance(e.outcome, Failure)] == [
        False,
        True,
    ]

    @task(metric="error", maximize=False, steps="epochs")
    def longer(epochs: int = 2) -> Iterator[float]:
        for _ in range(epochs + 1):
            yield 1.0

    assert "yields more than 2 times" in Runner(longer, tmp_path).reason()


def test_an_interrupted_trial_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    begun: list[int] = []

    @metric
    def fit(epochs: int = 4) -> Iterator[dict[str, float]]:
        state = checkpoint({"epoch": 0, "total": 0.0})
        begun.append(state["epoch"])
        while state["epoch"] < epochs:
            state["epoch"] += 1
            state["total"] += state["epoch"]
            samples(error=[state["total"]])
            yield {"error": state["total"]}

    whole = Runner(fit, tmp_path / "whole").steps()
    runner = Runner(fit, tmp_path / "cut")
    runner.events(most=2)
    assert runner.steps() == whole
    assert begun == [0, 0, 2]


def test_a_trial_that_is_cut_off_after_its_last_yield_keeps_all_of_it(tmp_path: Path) -> None:
    @metric
    def fit(epochs: int = 2) -> Iterator[dict[str, float]]:
        state = checkpoint({"epoch": 0})
        while state["epoch"] < epochs:
            state["epoch"] += 1
            samples(error=[float(state["epoch"])], text=["a"])
            yield {"error": float(state["epoch"])}

    runner = Runner(fit, tmp_path)
    runner.events(most=2)
    last = runner.events()[-1].outcome
    assert not isinstance(last, Failure)
    assert (last.step.at, last.step.metrics, last.step.done) == (2, {"error": 2.0}, True)
    assert last.step.samples == {"error": [2.0], "text": ["a"], "sample": [0]}


def test_without_a_checkpoint_a_trial_starts_again(tmp_path: Path) -> None:
    runner = Runner(count, tmp_path)
    runner.events(most=2)
    assert runner.checkpoints.trial_ids() == set()
    assert [at for at, _, _ in runner.steps()] == [1, 2, 3]


def test_outside_of_a_sweep_a_function_runs_as_it_is() -> None:
    assert [each["error"] for each in count()] == [1.0, 0.5, 1 / 3]
    state = {"epoch": 1}
    assert checkpoint(state) is state
    samples(error=[1.0])


def failing(body: Callable[[], Any]) -> Callable[..., Any]:
    @metric
    def fit(lr: float = 1.0) -> Any:
        return body()

    return fit


def yield_none() -> Iterator[Any]:
    yield None


def yield_text() -> Iterator[Any]:
    yield {"error": "low"}


def yield_nothing() -> Iterator[Any]:
    yield from ()


def other_metric() -> Iterator[Any]:
    yield {"loss": 1.0}


def other_mean() -> Iterator[Any]:
    samples(error=[1.0, 0.0])
    yield {"error": 0.75}


def unequal() -> Any:
    samples(error=[1.0], text=["a", "b"])


def text_samples() -> Any:
    samples(error=["a"])


def twice() -> Any:
    checkpoint({})
    checkpoint({})


def late() -> Iterator[Any]:
    yield {"error": 1.0}
    checkpoint({})


def no_dict() -> Any:
    checkpoint([1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (yield_none, "fit yielded None; yield its metrics"),
        (yield_text, "must yield or return a number or a dict of numbers"),
        (yield_nothing, "fit neither yielded nor returned metrics"),
        (other_metric, "the last step of fit has no metric 'error', only loss"),
        (other_mean, "the mean of the samples 'error' is 0.5, but the metric is 0.75"),
        (unequal, "columns of orc.samples must have equal lengths, but have"),
        (text_samples, "so they must be numbers, but are ['a']"),
        (twice, "orc.checkpoint was called twice"),
        (late, "orc.checkpoint was called after a yield"),
        (no_dict, "orc.checkpoint takes a dict with strings as keys, but got [1]"),
    ],
)
def test_a_failed_trial_says_what_to_change(
    body: Callable[[], Any], message: str, tmp_path: Path
) -> None:
    assert message in Runner(failing(body), tmp_path).reason()
