"""LoRA (Hu et al. 2022, eq. 3): train two small matrices next to each frozen linear layer.

A layer with weight W [O, I] computes W x + scale * B A x, with A [R, I] and B [O, R], where scale
is alpha / R. A starts at random and B at zero, so that a network starts as it is.

I inputs and O outputs of a layer, R rank
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

ALL = "all-linear"  # peft's name for all linear layers
_STREAM = 1  # of random numbers; heads are drawn with the seed itself

#: A and B by the name of their layer and ``.A`` or ``.B``.
Adapters = Mapping[str, Tensor]


def find_layers(
    module: nn.Module, targets: str, run: Callable[[], Tensor], prefix: str = ""
) -> dict[str, tuple[int, int]]:
    """Return the shapes [O, I] of the linear layers to adapt, by name; empty if none matches.

    Args:
        module: the network.
        targets: ``all-linear``, or a regular expression that matches the whole name of a layer,
            after ``prefix``.
        run: a forward pass of the network, which returns features. Layers that do not change them,
            such as those of BLIP's cross-attention, get no adapters.
        prefix: what comes before a layer's name for ``targets``, such as ``"image."``.
    """
    linear = {
        name: each
        for name, each in module.named_modules()
        if isinstance(each, nn.Linear) and (targets == ALL or re.fullmatch(targets, prefix + name))
    }
    if not linear:
        return {}
    zeros = {name: torch.zeros((), requires_grad=True) for name in linear}
    handles = [
        linear[name].register_forward_hook(partial(_shift, zero.to(each.weight.device)))
        for (name, zero), each in zip(zeros.items(), linear.values(), strict=True)
    ]
    try:
        with torch.enable_grad():
            total = run().sum()
    finally:
        for handle in handles:
            handle.remove()
    if not total.requires_grad:
        return {}
    grads = torch.autograd.grad(total, list(zeros.values()), allow_unused=True)
    return {
        name: (each.out_features, each.in_features)
        for (name, each), grad in zip(linear.items(), grads, strict=True)
        if grad is not None
    }


def _shift(zero: Tensor, layer: Any, inputs: Any, output: Tensor) -> Tensor:
    return output + zero


def init_adapters(shapes: Mapping[str, tuple[int, int]], rank: int, seed: int) -> dict[str, Tensor]:
    """Return new adapters on the CPU; A has the distribution of ``nn.Linear``, B is zero."""
    own_seed = int(np.random.SeedSequence([seed, _STREAM]).generate_state(1)[0])
    generator = torch.Generator().manual_seed(own_seed)
    adapters = {}
    for name, (outputs, inputs) in sorted(shapes.items()):
        bound = inputs**-0.5
        adapters[f"{name}.A"] = torch.empty(rank, inputs).uniform_(
            -bound, bound, generator=generator
        )
        adapters[f"{name}.B"] = torch.zeros(outputs, rank)
    return adapters


def attach(module: nn.Module, adapters: Adapters, scale: float) -> None:
    """Let the layers of a network add the output of their adapters from now on."""
    for name in layer_names(adapters):
        add = partial(_add, adapters[f"{name}.A"], adapters[f"{name}.B"], scale)
        module.get_submodule(name).register_forward_hook(add)


def _add(a: Tensor, b: Tensor, scale: float, layer: Any, inputs: Any, output: Tensor) -> Tensor:
    return output + scale * F.linear(F.linear(inputs[0], a), b)


@torch.no_grad()
def merge(module: nn.Module, adapters: Adapters, scale: float) -> None:
    """Add the adapters to the weights of a network, which then needs them no more."""
    for name in layer_names(adapters):
        weight = module.get_submodule(name).weight
        assert isinstance(weight, Tensor)
        weight += scale * adapters[f"{name}.B"] @ adapters[f"{name}.A"]


def layer_names(adapters: Adapters) -> list[str]:
    """Return the names of the layers that have adapters."""
    return [name.removesuffix(".A") for name in adapters if name.endswith(".A")]
