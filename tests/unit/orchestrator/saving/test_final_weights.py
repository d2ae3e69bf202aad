"""Which arrays of a finished trial are saved as its weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_sweep.task import TASK as TOY
from toy_sweep.task import ToyTask

from orchestrator.planning.discovery import load_task
from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from orchestrator.saving.final_weights import chosen_weights, write_weights
from results.storage.weights import (
    WeightStore,
)
from tasks.contract import State, Task, Trial


@pytest.fixture
def toy_trial() -> Trial:
    return make_plan(Request(task="toy", engine="local")).trials[0]


def variant(weights: Any) -> Any:
    return type("Other", (ToyTask,), {"weights": weights})()


def test_default_weights_are_all_arrays(toy_trial: Trial) -> None:
    state = State(arrays={"weights": np.ones(2), "velocity": np.zeros(2)}, values={"epoch": 1})
    without: Any = type("Without", (ToyTask,), {"has_weights": False})()
    assert chosen_weights(variant(Task.weights), toy_trial, state) == state.arrays
    assert chosen_weights(TOY, toy_trial, state).keys() == {"weights"}
    assert chosen_weights(without, toy_trial, state) == {}


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        (lambda self, trial, state: [1], "weights must return a dict of arrays by name, but got"),
        (lambda self, trial, state: {"a": [1.0]}, "'a' is"),
        (lambda self, trial, state: 1 / 0, "ZeroDivisionError"),
        (lambda self, trial, state: {"a": np.array(["x"])}, ""),
    ],
)
def test_failing_weights_method_is_reported(
    tmp_path: Path, toy_trial: Trial, weights: Callable[..., Any], problem: str
) -> None:
    store = WeightStore(str(tmp_path), "toy", "s")
    written = write_weights(store, variant(weights), toy_trial, State())
    assert written.num_bytes == 0
    assert problem in written.error
    assert written.error


def test_retrieval_keeps_what_is_trained_and_diffusion_what_is_sampled() -> None:
    arrays = {f"{part}.w": np.ones(1) for part in ("weight", "mean", "square", "constant", "ema")}
    state = State(arrays=arrays)
    retrieval = make_plan(Request(task="retrieval", engine="local")).trials[0]
    found = chosen_weights(load_task("retrieval"), retrieval, state)
    assert found.keys() == {"weight.w", "constant.w"}
    diffusion = make_plan(Request(task="diffusion", engine="local")).trials[0]
    with_average = dataclasses.replace(
        diffusion, params=dataclasses.replace(diffusion.params, ema=0.99)
    )
    without = dataclasses.replace(diffusion, params=dataclasses.replace(diffusion.params, ema=0.0))
    task = load_task("diffusion")
    assert chosen_weights(task, with_average, state).keys() == {"ema.w"}
    assert chosen_weights(task, without, state).keys() == {"weight.w"}


def test_weight_file_records_its_trial(tmp_path: Path, toy_trial: Trial) -> None:
    (tmp_path / "toy" / "s").mkdir(parents=True)
    store = WeightStore(str(tmp_path), "toy", "s")
    state = State(arrays={"weights": np.ones(2), "velocity": np.ones(2)}, values={"epoch": 4})
    assert write_weights(store, TOY, toy_trial, state).num_bytes == store.sizes()[toy_trial.id]
    found = store.read(toy_trial.id)
    assert found is not None
    assert found.values == {"epoch": 4}
    assert found.metadata["task"] == "toy"
    assert found.metadata["version"] == TOY.version
    assert found.metadata["seed"] == toy_trial.seed
    assert found.metadata["params"] == toy_trial.param_values()
    assert found.metadata["model"] == dataclasses.asdict(toy_trial.model)
    assert found.metadata["data"] == dataclasses.asdict(toy_trial.data)
