"""The state of ``orc.checkpoint`` comes back as it was, through the checkpoint's file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.functions import saved_state
from orchestrator.saving.checkpoints import decode, encode
from tasks.contract import State, TrialError


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    arrays, values = saved_state.save(state)
    read, _ = decode(encode(State(arrays=arrays, values={"state": values}), []), "cpu")
    fresh: dict[str, Any] = {}
    saved_state.restore(fresh, read.arrays, read.values["state"])
    return fresh


def test_nested_values_and_arrays_come_back() -> None:
    state: dict[str, Any] = {
        "epoch": 3,
        "loss": 0.25,
        "name": "a",
        "none": None,
        "done": True,
        "list": [1, (2, "x"), {"deep": [0.5]}],
        "by_number": {0: 1.0, 7: "seven"},
        "dotted": {"a.b": np.arange(3), "a": {"b": np.arange(4)}},
        "scalar": np.float64(2.5),
        "zero_dim": np.array(4, dtype=np.int64),
    }
    found = through_a_file(state)
    dotted = found.pop("dotted")
    assert dotted["a.b"].tolist() == [0, 1, 2]
    assert dotted["a"]["b"].tolist() == [0, 1, 2, 3]
    zero = found.pop("zero_dim")
    assert (zero.shape, zero.dtype, int(zero)) == ((), np.int64, 4)
    expected = {k: v for k, v in state.items() if k not in ("dotted", "zero_dim")}
    assert found == expected
    assert type(found["list"][1]) is tuple


def test_what_comes_back_can_be_changed_in_place() -> None:
    found = through_a_file({"w": np.zeros(2), "t": torch.zeros(2)})
    found["w"] += 1
    found["t"] += 1
    assert (found["w"].tolist(), found["t"].tolist()) == ([1, 1], [1, 1])


def test_a_saved_state_does_not_follow_later_changes() -> None:
    state: dict[str, Any] = {"w": np.zeros(2), "t": torch.zeros(2), "list": [1]}
    arrays, values = saved_state.save(state)
    state["w"] += 1
    state["t"] += 1
    state["list"].append(2)
    assert arrays["w"].tolist() == arrays["t"].tolist() == [0, 0]
    assert values == {"dict": [*values["dict"][:2], ["list", {"list": [1]}]]}


def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()


def make() -> dict[str, Any]:
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    return {"model": model, "optimizer": torch.optim.Adam(model.parameters()), "epoch": 0}


def test_modules_and_optimizers_load_what_they_had() -> None:
    state = make()
    train(state["model"], state["optimizer"], 3)
    state["epoch"] = 3
    arrays, values = saved_state.save(state)
    assert "model.weight" in arrays
    read, _ = decode(encode(State(arrays=arrays, values={"state": values}), []), "cpu")
    fresh = make()
    model = fresh["model"]
    saved_state.restore(fresh, read.arrays, read.values["state"])
    assert fresh["model"] is model
    assert fresh["epoch"] == 3
    for each in (state, fresh):
        train(each["model"], each["optimizer"], 2)
    assert torch.equal(state["model"].weight, fresh["model"].weight)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"rng": np.random.default_rng(0)}, r"cannot save state\['rng'\], which is Generator"),
        ({"a": {"b": {1.5: 2}}}, r"the key 1.5 of state\['a'\]\['b'\]"),
        ({"names": np.array(["a"])}, r"state\['names'\], which is an array of <U1"),
        ({"made": {1, 2}}, r"state\['made'\], which is \{1, 2\}; save numbers"),
    ],
)
def test_an_error_says_what_cannot_be_saved(value: dict[str, Any], message: str) -> None:
    with pytest.raises(TrialError, match=message):
        saved_state.save(value)


def test_an_object_that_does_not_fit_is_named() -> None:
    arrays, values = saved_state.save(make())
    other = {"model": torch.nn.Linear(3, 1), "optimizer": None, "epoch": 0}
    with pytest.raises(TrialError, match=r"does not fit state\['model'\]"):
        saved_state.restore(other, arrays, values)
