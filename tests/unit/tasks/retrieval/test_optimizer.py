"""AdamW compared with torch, and the bound of the temperature."""

from __future__ import annotations

import math

import pytest
import torch

from tasks.retrieval.optimizer import adamw_step, clamp_temperature


def test_adamw_matches_torch() -> None:
    torch.manual_seed(0)
    start = {"a": torch.randn(4, 3), "b": torch.randn(4)}
    ours = {k: torch.stack([torch.zeros_like(v), v]) for k, v in start.items()}  # a stack of two
    means = {k: torch.zeros_like(v) for k, v in ours.items()}
    squares = {k: torch.zeros_like(v) for k, v in ours.items()}
    theirs = [torch.nn.Parameter(v.clone()) for v in start.values()]
    optimiser = torch.optim.AdamW(theirs, lr=0.1, weight_decay=0.3)
    for step in range(1, 8):
        gradients = tuple(torch.randn_like(v) for v in start.values())
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient.clone()
        optimiser.step()
        stacked = [torch.stack([g, g], dim=-1).movedim(-1, 0) for g in gradients]  # as they come
        adamw_step([1], ours, stacked, (means, squares), 0.1, 0.3, step)
    for mine, expected in zip(ours.values(), theirs, strict=True):
        assert (mine[0] == 0).all()
        torch.testing.assert_close(mine[1], expected.detach(), rtol=1e-5, atol=1e-6)


def test_temperature_stays_at_the_bound() -> None:
    weights = {"log_temperature": torch.tensor([math.log(0.002), math.log(0.3)])}
    clamp_temperature(weights)
    torch.testing.assert_close(weights["log_temperature"].exp(), torch.tensor([0.01, 0.3]))
    clamp_temperature({})  # a fixed one


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_weight_decay_excludes_temperature_and_bias(decay: float) -> None:
    weights = {
        "head": torch.ones(1, 3),
        "log_temperature": torch.full((1,), -2.0),
        "logit_bias": torch.full((1,), -8.0),
    }
    moments = tuple({k: torch.zeros_like(v) for k, v in weights.items()} for _ in range(2))
    no_gradient = [torch.zeros_like(v) for v in weights.values()]
    for step in range(1, 4):
        adamw_step([0], weights, no_gradient, moments, 0.1, decay, step)  # type: ignore[arg-type]
    assert weights["log_temperature"].item() == -2.0
    assert weights["logit_bias"].item() == -8.0
    torch.testing.assert_close(weights["head"], torch.full((1, 3), (1 - 0.1 * decay) ** 3))
