"""Training: the moving average of the weights, and every prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusion_trials import make_trial

from tasks.diffusion import training


def test_ema_is_the_weighted_mean_of_all_steps() -> None:
    trial = make_trial(epochs=5, draws=64, ema=0.8)  # a step an epoch
    state = training.start(trial, "cpu")
    seen = []
    for _ in range(5):
        state, _ = training.train_epoch(trial, state, "cpu")
        seen.append(state.arrays["weight.outward.3.bias"])
    shares = torch.tensor([0.8**age for age in range(4, -1, -1)])
    expected = (torch.stack(seen) * (shares / shares.sum())[:, None]).sum(0)
    torch.testing.assert_close(state.arrays["ema.outward.3.bias"], expected)


@pytest.mark.parametrize("weighting", ["none", "min_snr"])
@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0", "flow"])
def test_every_prediction_learns_and_resumes(prediction: str, weighting: str) -> None:
    trial = make_trial(epochs=4, draws=512, prediction=prediction, weighting=weighting)
    state = training.start(trial, "cpu")
    losses, states = [], []
    for _ in range(4):
        state, loss = training.train_epoch(trial, state, "cpu")
        losses.append(loss)
        states.append(state)
    assert losses[-1] < 0.75 * losses[0]
    again, loss = training.train_epoch(trial, states[1], "cpu")
    assert loss == losses[2]
    for name, value in states[2].arrays.items():
        assert torch.equal(again.arrays[name], value)


def test_euler_approaches_heun_with_more_steps() -> None:
    """Both integrate the same trained field from the same noise."""
    trial = make_trial(epochs=1, draws=512, prediction="flow", num_samples=2)
    state, _ = training.train_epoch(trial, training.start(trial, "cpu"), "cpu")

    def draw(sampler: str, steps: int) -> np.ndarray[Any, Any]:
        changed = make_trial(
            prediction="flow", sampler=sampler, sampling_steps=steps, num_samples=2
        )
        return training.sample(changed, state, "cpu").astype(float)

    exact = draw("heun", 16)
    assert exact.shape == (8, 2, 28, 28, 3)
    errors = [abs(draw("euler", steps) - exact).mean() for steps in (2, 8)]
    assert errors[1] < errors[0] / 2
    assert abs(draw("heun", 8) - exact).mean() < errors[1] / 2


def test_transformer_learns_and_draws() -> None:
    trial = make_trial(network="dit", epochs=4, draws=512, depth=2, width=32, lr=5e-3)
    state = training.start(trial, "cpu")
    losses = []
    for _ in range(4):
        state, loss = training.train_epoch(trial, state, "cpu")
        losses.append(loss)
    assert losses[-1] < 0.75 * losses[0]
    assert training.sample(trial, state, "cpu").shape == (8, 4, 28, 28, 3)
