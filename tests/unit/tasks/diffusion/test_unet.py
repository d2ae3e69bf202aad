"""The network."""

from __future__ import annotations

import pytest
import torch

from tasks.diffusion.unet import UNet


@pytest.mark.parametrize("attention", [False, True])
def test_output_depends_on_time_and_condition(attention: bool) -> None:
    torch.manual_seed(0)
    network = UNet(8, attention=attention)
    x, time = torch.randn(2, 3, 28, 28), torch.tensor([0.5, 0.5])
    condition = torch.tensor([[1.0, 0, 0.9, 0.1, 0.1, 2.6]] * 2)
    out = network(x, time, condition)
    assert out.shape == x.shape
    for place in range(6):
        changed = condition.clone()
        changed[:, place] += 0.5
        assert not torch.allclose(network(x, time, changed), out)
    assert not torch.allclose(network(x, time + 0.1, condition), out)
