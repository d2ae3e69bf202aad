"""A small conditional U-Net for 28 x 28 images, similar to the lab's.

It has two down and two up stages. At each up stage, the condition scales the features and the time
shifts them (cemb * h + temb, as in the lab).

B batch, F features, E numbers of an encoded condition
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two convolutions with group norm, and a residual connection."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, padding=1), _norm(channels_out), nn.GELU()
        )
        self.second = nn.Sequential(
            nn.Conv2d(channels_out, channels_out, 3, padding=1), _norm(channels_out), nn.GELU()
        )
        same = channels_in == channels_out
        self.around = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H, W]."""
        return (self.around(x) + self.second(self.first(x))) / math.sqrt(2)  # type: ignore[no-any-return]


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(8, channels), channels)


class Attention(nn.Module):
    """Self-attention over positions, with a residual connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.heads = _norm(channels), max(1, channels // 32)
        self.inward, self.outward = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        nn.init.zeros_(self.outward.weight)
        nn.init.zeros_(self.outward.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        batch, channels, height, width = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        shape = (batch, height * width, 3, self.heads, channels // self.heads)
        query, key, value = self.inward(tokens).reshape(shape).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return x + self.outward(mixed).transpose(1, 2).reshape(x.shape)  # type: ignore[no-any-return]


class Embedding(nn.Module):
    """An MLP with GELU from a few numbers to the scale or the shift of a stage."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, outputs), nn.GELU(), nn.Linear(outputs, outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs] -> [B, outputs]."""
        return self.layers(x)  # type: ignore[no-any-return]


class Condition(nn.Module):
    """The sum of one MLP per attribute; in the lab shape (one-hot, 2), color (3) and size (1)."""

    def __init__(self, sizes: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.parts = nn.ModuleList([Embedding(number, outputs) for number in sizes])

    def forward(self, condition: Float[Tensor, "B E"]) -> Tensor:
        """[B, E] -> [B, outputs], where E is the sum of the sizes."""
        pieces = condition.split(self.sizes, dim=1)  # type: ignore[no-untyped-call]
        embedded = [part(piece) for part, piece in zip(self.parts, pieces, strict=True)]
        return torch.stack(embedded).sum(0)


class UNet(nn.Module):
    """Predicts the noise (or v) of x_t, given the time and the condition."""

    def __init__(
        self,
        features: int,
        *,
        attention: bool = False,
        condition_sizes: Sequence[int] = (2, 3, 1),
    ) -> None:
        super().__init__()
        n = features
        self.features = n
        self.inward = ResidualBlock(3, n)
        self.down1, self.down2 = ResidualBlock(n, n), ResidualBlock(n, 2 * n)
        self.attention = Attention(2 * n) if attention else nn.Identity()
        self.middle = nn.Sequential(nn.AvgPool2d(7), nn.GELU())
        self.start_up = nn.Sequential(
            nn.ConvTranspose2d(2 * n, 2 * n, 7, 7), _norm(2 * n), nn.GELU()
        )
        self.condition1 = Condition(condition_sizes, 2 * n)
        self.condition2 = Condition(condition_sizes, n)
        self.time1, self.time2 = Embedding(n, 2 * n), Embedding(n, n)
        self.up1, self.up2 = _Up(4 * n, n), _Up(2 * n, n)
        self.outward = nn.Sequential(
            nn.Conv2d(2 * n, n, 3, padding=1), _norm(n), nn.GELU(), nn.Conv2d(n, 3, 3, padding=1)
        )

    def forward(
        self, x: Float[Tensor, "B 3 28 28"], time: Float[Tensor, " B"], condition: Tensor
    ) -> Float[Tensor, "B 3 28 28"]:
        """Return the prediction. ``time`` is in 0..1; a condition of zeros means no condition."""
        first = self.inward(x)
        half = F.max_pool2d(self.down1(first), 2)  # [B, n, 14, 14]
        quarter = self.attention(F.max_pool2d(self.down2(half), 2))  # [B, 2n, 7, 7]
        up = self.start_up(self.middle(quarter))
        angles = sinusoids(time, self.features)
        up = self.up1(_modulate(up, self.condition1(condition), self.time1(angles)), quarter)
        up = self.up2(_modulate(up, self.condition2(condition), self.time2(angles)), half)
        return self.outward(torch.cat([up, first], dim=1))  # type: ignore[no-any-return]


class _Up(nn.Module):
    """An up stage: concatenates the skip connection and doubles the resolution."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.grow = nn.ConvTranspose2d(channels_in, channels_out, 2, 2)
        self.blocks = nn.Sequential(
            ResidualBlock(channels_out, channels_out), ResidualBlock(channels_out, channels_out)
        )

    def forward(self, x: Tensor, skipped: Tensor) -> Tensor:
        return self.blocks(self.grow(torch.cat([x, skipped], dim=1)))  # type: ignore[no-any-return]


def _modulate(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return scale[:, :, None, None] * x + shift[:, :, None, None]


def sinusoids(time: Float[Tensor, " B"], number: int) -> Float[Tensor, "B F"]:
    """Return sines and cosines of the time at geometric frequencies (Vaswani et al. 2017, 3.5)."""
    half = (number + 1) // 2
    frequency = torch.exp(-math.log(1000) * torch.arange(half, device=time.device) / half)
    angle = 1000 * time[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)[:, :number]
