"""A diffusion transformer (Peebles and Xie 2023) with adaLN-Zero blocks.

B batch, C channels, N patches, W width
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tasks.diffusion.unet import sinusoids

MLP_RATIO = 4  # width of a block's hidden layer, relative to W


class DiTBlock(nn.Module):
    """Attention and an MLP, whose shifts, scales and gates depend on time and condition.

    The gates start at zero, so the block starts as the identity (section 3.2, adaLN-Zero).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = _layer_norm(width), _layer_norm(width)
        self.inward, self.outward = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, MLP_RATIO * width),
            nn.GELU(approximate="tanh"),
            nn.Linear(MLP_RATIO * width, width),
        )
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Float[Tensor, "B N W"], about: Float[Tensor, "B W"]) -> Tensor:
        """[B, N, W], [B, W] -> [B, N, W]."""
        parts = self.modulation(about)[:, None].chunk(6, dim=2)
        shift1, scale1, gate1, shift2, scale2, gate2 = parts
        x = x + gate1 * self._attend(_scale_and_shift(self.norm1(x), shift1, scale1))
        return x + gate2 * self.mlp(_scale_and_shift(self.norm2(x), shift2, scale2))  # type: ignore[no-any-return]

    def _attend(self, x: Tensor) -> Tensor:
        batch, number, width = x.shape
        shape = (batch, number, 3, self.heads, width // self.heads)
        query, key, value = self.inward(x).reshape(shape).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return self.outward(mixed)  # type: ignore[no-any-return]


class DiT(nn.Module):
    """Predicts the target of x_t, given the time and the condition."""

    def __init__(
        self,
        *,
        channels: int,
        size: int,
        num_conditions: int,
        patch_size: int,
        depth: int,
        width: int,
        heads: int,
    ) -> None:
        super().__init__()
        self.channels, self.size, self.patch_size, self.width = channels, size, patch_size, width
        pixels = channels * patch_size**2
        self.inward = nn.Linear(pixels, width)
        self.time = _mlp(width, width)
        self.condition = _mlp(num_conditions, width)
        self.blocks = nn.ModuleList([DiTBlock(width, heads) for _ in range(depth)])
        self.norm = _layer_norm(width)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.outward = nn.Linear(width, pixels)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for name, parameter in self.named_parameters():
            if name == "outward.weight" or name.endswith("modulation.1.weight"):
                nn.init.zeros_(parameter)

    def forward(
        self, x: Float[Tensor, "B C H H"], time: Float[Tensor, " B"], condition: Tensor
    ) -> Float[Tensor, "B C H H"]:
        """Return the prediction. ``time`` is in 0..1; a condition of zeros means no condition."""
        about = self.time(sinusoids(time, self.width)) + self.condition(condition)
        tokens = self.inward(to_patches(x, self.patch_size))
        side = self.size // self.patch_size
        tokens = tokens + _positions(side, self.width, tokens.device, tokens.dtype)
        for block in self.blocks:
            tokens = block(tokens, about)
        shift, scale = self.modulation(about)[:, None].chunk(2, dim=2)
        out = self.outward(_scale_and_shift(self.norm(tokens), shift, scale))
        return from_patches(out, self.patch_size, self.size)


def _layer_norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)


def _mlp(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width))


def _scale_and_shift(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x * (1 + scale) + shift


def to_patches(x: Tensor, patch_size: int) -> Tensor:
    """Cut images [B, C, H, H] into patches [B, N, C * patch_size ** 2], row by row."""
    return F.unfold(x, patch_size, stride=patch_size).transpose(1, 2)


def from_patches(patches: Tensor, patch_size: int, size: int) -> Tensor:
    """Join patches to images; the inverse of ``to_patches``."""
    return F.fold(patches.transpose(1, 2), size, patch_size, stride=patch_size)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _positions(side: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return ``positions``, which are copied to a device only once."""
    return positions(side, width).to(device, dtype)


def positions(side: int, width: int) -> Float[Tensor, "N W"]:
    """Return embeddings of the patches of a square: sinusoids of the row, then of the column."""
    steps = torch.arange(side) / 1000  # ``sinusoids`` multiplies by 1000
    row, column = torch.meshgrid(steps, steps, indexing="ij")
    parts = [sinusoids(place.flatten(), width // 2) for place in (row, column)]
    return torch.cat(parts, dim=1)
