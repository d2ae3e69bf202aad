"""Make the network of a trial or of an exported model, and set its weights."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tasks.diffusion.dit import DiT
from tasks.diffusion.unet import UNet

BUILT_IN: dict[str, type[nn.Module]] = {"unet": UNet, "dit": DiT}


def make_network(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Return a new network: ``unet``, ``dit``, or what ``package.module:factory`` returns."""
    if name in BUILT_IN:
        return BUILT_IN[name](**options)
    module, _, function = name.partition(":")
    made: nn.Module = getattr(importlib.import_module(module), function)(**options)
    return made


def named_tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the names and values of all parameters, then of all buffers."""
    yield from network.named_parameters()
    yield from network.named_buffers()


def set_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy weights into the network, by the names of ``named_tensors``."""
    with torch.no_grad():
        for name, value in named_tensors(network):
            value.copy_(weights[name])
