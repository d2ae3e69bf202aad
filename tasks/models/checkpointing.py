"""Gradient checkpointing: compute the activations of a layer again instead of keeping them."""

from __future__ import annotations

from functools import partial

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer


def checkpoint_layers(module: nn.Module, *, preserve_rng: bool = False) -> int:
    """Let each layer of an encoder keep only its input for the backward pass.

    The encoder's own switch works only in training mode, that is, with dropout. A layer with batch
    normalization keeps its activations: computed again, it would update its statistics twice.

    Args:
        module: the encoder, or a network with it.
        preserve_rng: whether layers draw random numbers, such as for dropout, which must be equal
            when they are computed again.

    Returns:
        The number of layers; 0 if the encoder has none that can be checkpointed.
    """
    layers = [
        each
        for each in module.modules()
        if isinstance(each, GradientCheckpointingLayer)
        and not any(isinstance(part, _BatchNorm) for part in each.modules())
    ]
    for layer in layers:
        layer.forward = partial(
            checkpoint, layer.forward, use_reentrant=False, preserve_rng_state=preserve_rng
        )
    return len(layers)
