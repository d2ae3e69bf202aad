"""Several processes that compute one trial together, over gloo on the CPU."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

import adding
import pytest
import torch
from captioned_folder import draw_folder

from orchestrator.execution.trial_processes import TrialProcesses
from tasks.contract import Member, Source, State, Step, Trial, TrialError
from tasks.retrieval import training
from tasks.retrieval.params import Params
from tasks.retrieval.task import TASK

LOSS = 1e-5  # the sums of two processes are added in another order
GRADIENT, WEIGHT = 1e-4, 2e-3  # AdamW also moves weights whose gradient is only a rounding error


@pytest.fixture(scope="module")
def processes() -> Iterator[TrialProcesses]:
    with TrialProcesses(TASK, 2, device="cpu", threads=1, step_timeout=120) as made:
        yield made


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"folder:{draw_folder(tmp_path_factory.mktemp('data'), train=16, val=9)}"


def make_trial(model: str, data: str, **params: Any) -> Trial:
    common: dict[str, Any] = {"start": "random", "lr": 1e-3, "epochs": 3, "batch_size": 8}
    found, captions = TASK.resolve(model, data)
    made = Params(**(common | {"precision": "float32"} | params))
    return TASK.normalize(
        Trial(task="retrieval", version="1", params=made, seed=0, model=found, data=captions)
    )


def make_inputs(trial: Trial) -> Any:
    return {s: s.function(**s.args, device="cpu") for s in TASK.stages(trial)}


def step_of(
    advance: Callable[..., Any], trial: Trial, state: State, inputs: Any
) -> tuple[State, Step]:
    (result,) = advance([Member(trial=trial, state=state)], inputs, "cpu")
    if isinstance(result, Exception):
        raise result
    return result


def flat(state: State, part: str) -> torch.Tensor:
    return torch.cat([v.reshape(-1) for k, v in state.arrays.items() if k.startswith(part)])


def distance(one: State, two: State, part: str, start: State) -> float:
    """The difference of two states, relative to what changed since the start."""
    found, other, before = (flat(state, part) for state in (one, two, start))
    return float((found - other).norm() / (found - before).norm())


CASES: dict[str, dict[str, Any]] = {
    "full softmax": {"trainable": "full", "augment": False},
    "full softmax chunks": {"trainable": "full", "chunk_size": 2, "learn_temperature": True},
    "lora softmax": {"trainable": "lora", "pairs": "all"},
    "lora sigmoid chunks": {"trainable": "lora", "loss": "sigmoid", "chunk_size": 3},
    "full sigmoid": {"trainable": "full", "loss": "sigmoid", "learn_bias": True},
}


@pytest.mark.parametrize("name", CASES)
def test_two_processes_compute_what_one_does(
    tiny: Callable[[str], str], data: str, processes: TrialProcesses, name: str
) -> None:
    trial = make_trial(tiny("siglip" if "sigmoid" in name else "blip"), data, **CASES[name])
    inputs = make_inputs(trial)
    start = one = two = training.start(trial, inputs, "cpu")
    for _ in range(2):
        one, expected = step_of(TASK.advance, trial, one, inputs)
        two, found = step_of(processes.advance, trial, two, inputs)
        assert found.metrics == pytest.approx(expected.metrics, rel=LOSS)
        assert found.samples == expected.samples
    assert distance(one, two, "mean.", start) < GRADIENT
    assert distance(one, two, "weight.", start) < WEIGHT
    # The state of either continues in the other: the last step, from exchanged states.
    _, expected = step_of(TASK.advance, trial, two, inputs)
    _, found = step_of(processes.advance, trial, one, inputs)
    assert found.metrics == pytest.approx(expected.metrics, rel=1e-4)
    assert found.done


def test_error_of_another_process_is_the_trials(processes: TrialProcesses) -> None:
    source = Source(name="none", fingerprint="1")
    trial = Trial(
        task="adding", version="1", params=adding.Params(), seed=0, model=source, data=source
    )
    task = adding.AddingTask()
    with TrialProcesses(task, 2, device="cpu", threads=1, step_timeout=60) as made:
        with pytest.raises(TrialError, match="this process already uses"):
            step_of(made.advance, trial, task.start(trial, {}, "cpu"), {})
        processes.close()
        state, step = step_of(made.advance, trial, task.start(trial, {}, "cpu"), {})
        assert step.metrics == {"total": 3.0}  # of 1 and 2
        with pytest.raises(TrialError, match=r"^ValueError: process 1 is broken on purpose"):
            step_of(made.advance, trial, state, {})
        state, step = step_of(made.advance, trial, task.start(trial, {}, "cpu"), {})
        assert step.metrics == {"total": 3.0}  # in new processes


def test_process_that_dies_twice_fails_the_trial(
    tiny: Callable[[str], str], data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    trial = make_trial(tiny("blip"), data, trainable="full")
    with (
        TrialProcesses(TASK, 2, device="cpu", threads=1, step_timeout=60) as made,
        pytest.raises(TrialError, match=r"^process 2 of 2 exited with status 1"),
    ):
        step_of(made.advance, trial, State(), {})
