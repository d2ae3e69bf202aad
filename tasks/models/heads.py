"""Projection heads as functions of their weights, so that a pack can stack several heads.

The names of a head's weights determine its kind: ``weight`` (and ``bias``) is a linear layer,
``hidden.*`` and ``out.*`` are two linear layers with a GELU between them, and ``probe`` and others
are SigLIP's attention pooling.

K stacked heads, B batch, S image tokens, D an encoder's width, P the width of the shared space
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

CONSTANTS = ("num_heads", "epsilon", "masked")  # stored with a head's weights, but never trained


def project(
    weights: Mapping[str, Tensor], side: str, features: Float[Tensor, "*K B ..."]
) -> Float[Tensor, "*K B P"]:
    """Project features of ``side`` (image or text) to unit vectors in the shared space.

    Linear and MLP heads may be stacked, K at a time.
    """
    head = {k.removeprefix(f"{side}."): v for k, v in weights.items() if k.startswith(f"{side}.")}
    if "probe" in head:
        projected = _attention_pooling(head, features)
    elif "out.weight" in head:
        hidden = F.gelu(linear(features, head["hidden.weight"], head["hidden.bias"]))
        projected = linear(hidden, head["out.weight"], head["out.bias"])
    else:
        projected = linear(features, head["weight"], head.get("bias"))
    return F.normalize(projected, dim=-1)


def can_stack(weights: Mapping[str, Tensor]) -> bool:
    """Return whether ``project`` supports several stacked heads of this kind."""
    return not any(name.endswith(".probe") for name in weights)


def linear(
    features: Float[Tensor, "*K B D"], weight: Float[Tensor, "*K P D"], bias: Tensor | None
) -> Float[Tensor, "*K B P"]:
    """Apply a linear layer, or K stacked ones to the features of each."""
    if weight.ndim == 2:
        return F.linear(features, weight, bias)
    # With the weights on the left, their gradient has the same memory layout and needs no copy.
    if bias is None:
        return torch.bmm(weight, features.mT).mT
    return torch.baddbmm(bias[:, :, None], weight, features.mT).mT


def _attention_pooling(
    head: Mapping[str, Tensor], tokens: Float[Tensor, "B S D"]
) -> Float[Tensor, "B D"]:
    """Pool by a learned query that attends to all tokens (Zhai et al. 2022, section 3.4).

    If the head is ``masked``, tokens of zeros are padding. No other token has only zeros after its
    layer norm.
    """
    batch, _, width = tokens.shape
    mask = (tokens != 0).any(-1)[:, None, None] if "masked" in head else None  # [B, 1, 1, S]
    num_heads = int(head["num_heads"])

    def split(states: Tensor) -> Tensor:  # [B, S, D] -> [B, heads, S, D / heads]
        return states.reshape(len(states), -1, num_heads, width // num_heads).transpose(1, 2)

    query, key, value = (
        split(F.linear(states, weight, bias))
        for states, weight, bias in zip(
            (head["probe"].expand(batch, -1, -1), tokens, tokens),
            head["attention.in_proj_weight"].chunk(3),
            head["attention.in_proj_bias"].chunk(3),
            strict=True,
        )
    )
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    mixed = mixed.transpose(1, 2).flatten(2)
    pooled = F.linear(mixed, head["attention.out_proj.weight"], head["attention.out_proj.bias"])
    normed = F.layer_norm(
        pooled, (width,), head["layernorm.weight"], head["layernorm.bias"], float(head["epsilon"])
    )
    hidden = F.gelu(
        F.linear(normed, head["mlp.fc1.weight"], head["mlp.fc1.bias"]), approximate="tanh"
    )
    return (pooled + F.linear(hidden, head["mlp.fc2.weight"], head["mlp.fc2.bias"]))[:, 0]


def head_shapes(kind: str, width: int, embed_dim: int) -> dict[str, tuple[int, ...]]:
    """Return the weight shapes of a new head (``linear`` or ``mlp``) on features of ``width``."""
    if kind == "linear":
        return {"weight": (embed_dim, width), "bias": (embed_dim,)}
    return {
        "hidden.weight": (width, width),
        "hidden.bias": (width,),
        "out.weight": (embed_dim, width),
        "out.bias": (embed_dim,),
    }


def init_weights(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Initialize weights at random on the CPU, with the distributions of torch's layers.

    Linear layers are uniform within 1/sqrt(inputs), as in ``nn.Linear``. Layer norms have scale
    one and bias zero. A probe is standard normal.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = {}
    for name in sorted(shapes):
        value = torch.empty(shapes[name])
        if "layernorm" in name:
            drawn[name] = value.fill_(float(name.endswith("weight")))
        elif name.endswith("probe"):
            drawn[name] = value.normal_(generator=generator)
        else:
            bound = 1 / math.sqrt(_fan_in(name, shapes))
            drawn[name] = value.uniform_(-bound, bound, generator=generator)
    return drawn


def _fan_in(name: str, shapes: Mapping[str, tuple[int, ...]]) -> int:
    return shapes[name.removesuffix("bias") + "weight" if name.endswith("bias") else name][1]
