"""Adapters of linear layers, next to a network whose weights contain them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tasks.models import heads, lora
from tasks.models.sharing import copy_with
from tasks.segmentation.heads import init_head


class Network(nn.Module):
    """Two layers that change the output, and one that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.unused = nn.Linear(5, 7), nn.Linear(7, 3), nn.Linear(7, 7)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).tanh()
        self.unused(hidden)  # as a pooler whose output nobody reads
        return self.second(hidden)


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network().requires_grad_(False)


def adapters_of(network: Network, targets: str = lora.ALL, rank: int = 2) -> dict[str, Tensor]:
    shapes = lora.find_layers(network, targets, lambda: network(torch.ones(1, 5)))
    return lora.init_adapters(shapes, rank, seed=0)


def trained(adapters: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.randn_like(value).requires_grad_() for name, value in adapters.items()}


def test_only_layers_that_change_the_output_and_match_get_adapters(network: Network) -> None:
    assert {name: tuple(v.shape) for name, v in adapters_of(network).items()} == {
        "first.A": (2, 5),
        "first.B": (7, 2),
        "second.A": (2, 7),
        "second.B": (3, 2),
    }
    assert lora.layer_names(adapters_of(network, "sec.*")) == ["second"]
    run = lambda: network(torch.ones(1, 5))  # noqa: E731
    assert list(lora.find_layers(network, "image[.]f.*", run, "image.")) == ["first"]
    assert not lora.find_layers(network, "first.", run)


def test_new_adapters_do_not_change_the_network(network: Network) -> None:
    x = torch.randn(4, 5)
    copied = copy_with(network, {})
    lora.attach(copied, adapters_of(network), 2.0)
    assert torch.equal(copied(x), network(x))
    again, other = adapters_of(network), lora.init_adapters({"first": (7, 5)}, 2, seed=1)
    assert all(torch.equal(again[k], v) for k, v in adapters_of(network).items())
    assert not torch.equal(other["first.A"], again["first.A"])


def test_adapters_do_not_repeat_the_random_numbers_of_heads() -> None:
    adapters = lora.init_adapters({"layer": (7, 16)}, 2, seed=3)
    found = adapters["layer.A"].flatten() * 16**0.5  # uniform from -1 to 1
    head = heads.init_weights({"bias": (7,), "weight": (7, 16)}, 3)
    classifier = init_head({"bias": (7,), "weight": (7, 16, 1, 1)}, 3)
    for drawn in (head, classifier):
        numbers = torch.cat([drawn["bias"], drawn["weight"].flatten()]) * 16**0.5
        assert not torch.isclose(numbers[: len(found)], found).any()


def test_outputs_and_gradients_are_those_of_the_merged_weights(network: Network) -> None:
    x, scale = torch.randn(4, 5), 0.7
    adapters = trained(adapters_of(network))
    copied = copy_with(network, {})
    lora.attach(copied, adapters, scale)
    found = torch.autograd.grad(copied(x).square().sum(), list(adapters.values()))

    weights = {
        f"{name}.weight": getattr(network, name).weight
        + scale * adapters[f"{name}.B"] @ adapters[f"{name}.A"]
        for name in ("first", "second")
    }
    expected = torch.func.functional_call(network, weights, x)
    torch.testing.assert_close(copied(x), expected)
    grads = torch.autograd.grad(expected.square().sum(), list(adapters.values()))
    torch.testing.assert_close(found, grads)

    before = network(x)
    assert not torch.equal(before, copied(x))  # the copy's adapters do not reach the network
    lora.merge(network, adapters, scale)
    torch.testing.assert_close(network(x), expected)


def test_a_copy_shares_its_weights_except_for_those_given(network: Network) -> None:
    given = torch.zeros(7, 5, requires_grad=True)
    copied = copy_with(network, {"first.weight": given})
    assert copied.first.weight is given
    assert copied.first.bias is network.first.bias
    assert network.first.weight is not given


def test_tied_weights_stay_tied_in_a_copy() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    given = torch.zeros(3, 3)
    copied = copy_with(network, {"0.weight": given})
    assert copied[0].weight is given
    assert copied[1].weight is given
