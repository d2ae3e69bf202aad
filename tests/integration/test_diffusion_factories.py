"""Networks by factory: identity, checks, buffers and dropout."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusion_trials import make_trial

from tasks.contract import State, TrialError
from tasks.diffusion import loading, training
from tasks.diffusion.schedule import Schedule
from tasks.diffusion.task import TASK

NETWORK = """
import torch

class Network(torch.nn.Module):
    def __init__(self, channels, size, num_conditions):
        super().__init__()
        assert (channels, size, num_conditions) == (3, 28, 6)
        self.norm = torch.nn.BatchNorm2d(channels)
        self.frozen = torch.nn.Parameter(torch.ones(1), requires_grad=False)
        self.drop = torch.nn.Dropout(0.5)
        self.outward = torch.nn.Conv2d(channels + num_conditions + 1, channels, 3, padding=1)

    def forward(self, x, time, condition):
        about = torch.cat([condition, time[:, None]], dim=1)[:, :, None, None]
        about = about.expand(-1, -1, *x.shape[2:])
        return self.outward(self.drop(torch.cat([self.norm(x), about], dim=1))) * self.frozen

def network(channels, size, num_conditions):
    return Network(channels, size, num_conditions)
"""
WRONG = """
import torch
def number(**options): return 3
def no_options(): return torch.nn.Identity()
def untrained(**options): return torch.nn.Identity()
def half(**options): return torch.nn.Conv2d(3, 3, 1).half()
class Flat(torch.nn.Linear):
    def forward(self, x, time, condition): return x.flatten(1)
def flat(**options): return Flat(1, 1)
def image_only(**options): return torch.nn.Conv2d(3, 3, 1)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a module that can be imported, and returns a trial of one of its functions."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(text: str, function: str, **params: Any) -> Any:
        module = f"networks_{tmp_path.name}"
        (tmp_path / f"{module}.py").write_text(text)
        model, _ = TASK.resolve(f"{module}:{function}", "concepts")
        return TASK.normalize(dataclasses.replace(make_trial(**params), model=model))

    return write


def test_source_of_the_factory_is_part_of_the_id(package: Any) -> None:
    one = package(NETWORK, "network")
    assert one.params.network is None  # --set network chooses among the built-in ones
    assert one.id != package(NETWORK + "# changed", "network").id
    assert TASK.normalize(one) == one
    assert TASK.estimate_memory(one) == 0  # unknown
    assert TASK.pack_key(one) != TASK.pack_key(package(NETWORK + "# changed", "network"))


def test_trial_with_buffers_and_dropout_resumes_exactly(package: Any) -> None:
    trial = package(NETWORK, "network", epochs=3, draws=64, batch_size=16, num_samples=2)
    state = training.start(trial, "cpu")
    assert torch.equal(state.arrays["buffer.norm.running_mean"], torch.zeros(3))
    states, losses = [], []
    for _ in range(3):
        state, loss = training.train_epoch(trial, state, "cpu")
        states.append(state)
        losses.append(loss)
    assert states[-1].values == {"epoch": 3, "steps": 12}
    assert float(states[-1].arrays["buffer.norm.num_batches_tracked"]) == 12
    assert torch.equal(states[-1].arrays["weight.frozen"], torch.ones(1))
    torch.rand(5)  # other random numbers are drawn in between
    loading._cached.cache_clear()  # as in a new process
    again, loss = training.train_epoch(trial, states[1], "cpu")
    assert loss == losses[2]
    for name, value in states[2].arrays.items():
        assert torch.equal(again.arrays[name], value), name
    first, second = (training.sample(trial, states[2], "cpu") for _ in range(2))
    assert (first == second).all()  # without dropout
    kept = TASK.weights(trial, State(arrays=states[2].arrays))
    assert {"ema.outward.weight", "buffer.norm.running_var"} <= set(kept)
    assert not [name for name in kept if name.startswith(("weight.", "mean."))]


def test_dropout_does_not_repeat_the_random_numbers_of_the_noise(
    package: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = package(NETWORK, "network", epochs=2, draws=64)
    state = training.start(trial, "cpu")
    draw_levels = Schedule.draw_levels
    noise, dropout = [], []

    def spy(schedule: Schedule, number: int, generator: torch.Generator) -> torch.Tensor:
        noise.append(generator.initial_seed())
        dropout.append(torch.initial_seed())
        return draw_levels(schedule, number, generator)

    monkeypatch.setattr(Schedule, "draw_levels", spy)
    for _ in range(2):
        state, _ = training.train_epoch(trial, state, "cpu")
    assert len({*noise, *dropout}) == 4


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("number", "it must return a torch.nn.Module, but returned int; fix the factory"),
        ("no_options", "TypeError: no_options\\(\\) got an unexpected keyword argument"),
        ("untrained", "no parameters to train; fix the factory"),
        ("half", "must have float32 parameters"),
        ("flat", r"must return \[2, 3, 28, 28\] for images .* but returned \[2, 2352\]"),
        ("image_only", "TypeError: .* positional argument"),
    ],
)
def test_unsuitable_factory_is_one_clear_line(package: Any, function: str, message: str) -> None:
    trial = package(WRONG, function)
    with pytest.raises(TrialError, match=message) as found:
        loading.new_network(trial)
    assert trial.model.name in str(found.value)
    assert "\n" not in str(found.value)
