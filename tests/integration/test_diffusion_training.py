"""The moving average of the weights."""

from __future__ import annotations

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
