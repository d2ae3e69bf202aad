"""Segmentation heads as functions of their weights, so that a pack can stack them with ``vmap``.

B batch, D width of a level, P width of the head, C classes, h x w grid of the first level

This file is also written into exported models, so it imports nothing of this project.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

POOLS = (1, 2, 3, 6)  # grids of the pyramid pooling module (Zhao et al. 2017)
#: If all levels have the same grid, as in a plain vision transformer, they are resized by these
#: factors. UPerNet on BEiT has 4, 2, 1 and 1/2; finer grids than the features' own cost much more.
PLAIN_FACTORS = (1.0, 1.0, 1.0, 0.5)
_GROUPS = 8  # of group normalization, which unlike batch normalization has no running statistics


def apply_head(weights: Mapping[str, Tensor], levels: Sequence[Tensor]) -> Tensor:
    """Return class scores [B, C, h, w] of features [B, D, h, w], from fine to coarse levels."""
    if "lateral.0.weight" in weights:
        return _upernet(weights, levels)
    return F.conv2d(levels[-1], weights["classifier.weight"], weights["classifier.bias"])


def head_shapes(
    kind: str, widths: Sequence[int], head_width: int, num_classes: int
) -> dict[str, tuple[int, ...]]:
    """Return the weight shapes of a ``linear`` or ``upernet`` head on levels of these widths."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name: str, inputs: int, outputs: int, size: int, *, norm: bool = True) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs, size, size)
        shapes[f"{name}.bias"] = (outputs,)
        if norm:
            shapes[f"{name}.norm.weight"] = shapes[f"{name}.norm.bias"] = (outputs,)

    if kind == "linear":
        conv("classifier", widths[-1], num_classes, 1, norm=False)
        return shapes
    for level, width in enumerate(widths):
        conv(f"lateral.{level}", width, head_width, 1)
        if level < len(widths) - 1:
            conv(f"smooth.{level}", head_width, head_width, 3)
    for number in range(len(POOLS)):
        conv(f"pool.{number}", head_width, head_width, 1)
    conv("bottleneck", head_width * (1 + len(POOLS)), head_width, 3)
    conv("fuse", head_width * len(widths), head_width, 3)
    conv("classifier", head_width, num_classes, 1, norm=False)
    return shapes


def init_head(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Initialize weights at random on the CPU, uniform within 1 / sqrt(inputs), as torch does."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {}
    for name in sorted(shapes):
        value = torch.empty(shapes[name])
        if ".norm." in name:
            drawn[name] = value.fill_(float(name.endswith("weight")))
        else:
            kernel = (
                shapes[name.removesuffix("bias") + "weight"] if "bias" in name else shapes[name]
            )
            bound = 1 / math.sqrt(math.prod(kernel[1:]))
            drawn[name] = value.uniform_(-bound, bound, generator=generator)
    return drawn


def _upernet(weights: Mapping[str, Tensor], levels: Sequence[Tensor]) -> Tensor:
    """Fuse a feature pyramid whose top is pooled at several grids (Xiao et al. 2018)."""
    if len(levels) == len(PLAIN_FACTORS) and len({level.shape[-2:] for level in levels}) == 1:
        height, width = levels[0].shape[-2:]
        levels = [
            level
            if factor == 1
            else resize(level, (max(1, round(height * factor)), max(1, round(width * factor))))
            for level, factor in zip(levels, PLAIN_FACTORS, strict=True)
        ]
    maps = [_block(weights, f"lateral.{number}", level) for number, level in enumerate(levels)]
    top = maps[-1]
    pooled = [
        resize(_block(weights, f"pool.{n}", F.adaptive_avg_pool2d(top, size)), top.shape[-2:])
        for n, size in enumerate(POOLS)
    ]
    maps[-1] = _block(weights, "bottleneck", torch.cat([top, *pooled], dim=-3))
    for number in range(len(maps) - 2, -1, -1):
        maps[number] = maps[number] + resize(maps[number + 1], maps[number].shape[-2:])
    for number in range(len(maps) - 1):
        maps[number] = _block(weights, f"smooth.{number}", maps[number])
    size = maps[0].shape[-2:]
    fused = _block(weights, "fuse", torch.cat([resize(each, size) for each in maps], dim=-3))
    return F.conv2d(fused, weights["classifier.weight"], weights["classifier.bias"])


def _block(weights: Mapping[str, Tensor], name: str, features: Tensor) -> Tensor:
    kernel = weights[f"{name}.weight"]
    out = F.conv2d(features, kernel, weights[f"{name}.bias"], padding=kernel.shape[-1] // 2)
    scale, shift = weights[f"{name}.norm.weight"], weights[f"{name}.norm.bias"]
    return F.relu(F.group_norm(out, _GROUPS, scale, shift))


def resize(features: Tensor, size: Sequence[int]) -> Tensor:
    """Resize [B, D, h, w] to another grid, bilinearly."""
    if tuple(features.shape[-2:]) == tuple(size):
        return features
    return F.interpolate(features, size=tuple(size), mode="bilinear", align_corners=False)
