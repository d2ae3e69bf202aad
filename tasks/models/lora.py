"""LoRA (Hu et al. 2022, eq. 3): train two small matrices next to each frozen linear layer.

A layer with weight W [O, I] computes W x + scale * B A x, with A [R, I] and B [O, R], where scale
is alpha / R. A starts at random and B at zero, so that a network starts as it is.

The adapters of K trials can be stacked: A is [K, R, I] and B [K, O, R], and the inputs of a layer
are those of all trials, one trial after the other.

I inputs and O outputs of a layer, R rank, K stacked trials
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
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


def attach(module: nn.Module, adapters: Adapters, scale: float | Tensor) -> None:
    """Let the layers of a network add the output of their adapters from now on.

    ``scale`` is a number, or [K, 1, 1] for stacked adapters, for which ``keeps_order`` must hold.
    """
    for name in layer_names(adapters):
        add = partial(_add, adapters[f"{name}.A"], adapters[f"{name}.B"], scale)
        module.get_submodule(name).register_forward_hook(add)


def _add(
    a: Tensor, b: Tensor, scale: float | Tensor, layer: Any, inputs: Any, output: Tensor
) -> Tensor:
    if a.ndim == 2:
        return output + scale * F.linear(F.linear(inputs[0], a), b)
    each = inputs[0].reshape(len(a), -1, a.shape[-1])
    added = scale * torch.bmm(torch.bmm(each, a.mT), b.mT)
    return output + added.to(output.dtype).reshape(output.shape)


def keeps_order(
    module: nn.Module, layers: Sequence[str], runs: tuple[Callable[[], Any], ...]
) -> bool:
    """Return whether the inputs of layers are those of one item of a batch after the other.

    Stacked adapters need it. It does not hold for a network whose first dimension is not that of
    the batch, or that sends each token to one of several experts.

    Args:
        module: the network.
        layers: the names of the layers.
        runs: forward passes of the network with one item, with another one, and with both.
    """
    seen: list[list[Tensor]] = []
    handles = [
        module.get_submodule(name).register_forward_hook(
            lambda layer, inputs, output: seen[-1].append(inputs[0].detach())
        )
        for name in layers
    ]
    try:
        with torch.no_grad():
            for run in runs:
                seen.append([])
                run()
    finally:
        for handle in handles:
            handle.remove()
    first, second, both = seen
    if not len(first) == len(second) == len(both):
        return False
    return all(_joins(*each) for each in zip(first, second, both, strict=True))


def _joins(first: Tensor, second: Tensor, both: Tensor) -> bool:
    """Return whether ``both`` is the other two after each other, up to rounding."""
    if first.shape[1:] != second.shape[1:]:
        return False
    joined = torch.cat([first, second])
    size = float(joined.abs().max())
    return joined.shape == both.shape and torch.allclose(joined, both, rtol=0, atol=0.01 * size)


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
