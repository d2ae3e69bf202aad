"""Layers that are computed again in the backward pass."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from tasks.models.checkpointing import checkpoint_layers


class Layer(GradientCheckpointingLayer):  # type: ignore[misc]
    """A layer that counts how often it is computed."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts, self.calls = nn.Sequential(*parts), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.parts(x)


def test_a_layer_with_batch_statistics_is_computed_once() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(Layer(nn.Linear(3, 3)), Layer(nn.Linear(3, 3), nn.BatchNorm1d(3)))
    again = copy.deepcopy(plain)
    assert checkpoint_layers(again) == 1
    x = torch.randn(5, 3)
    for network in (plain, again):
        network(x).square().sum().backward()
    assert [layer.calls for layer in again] == [2, 1]
    for name, value in plain.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    for one, other in zip(again.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_a_network_with_batch_statistics_in_each_layer_has_no_layers_to_checkpoint() -> None:
    """As MobileViT, whose outer layers contain batch normalization."""
    assert checkpoint_layers(nn.Sequential(Layer(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)))) == 0
