"""The noise schedule of a diffusion model, and the meaning of its predictions.

x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise (Ho et al. 2020, eq. 4). t is 1 to T, index t - 1.

B batch
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """A noise schedule: ``alpha_bar`` [T] in float64, decreasing from almost 1 to almost 0."""

    alpha_bar: Tensor

    def to(self, device: str | torch.device) -> Schedule:
        """Return the schedule on a device, for levels on that device."""
        return Schedule(alpha_bar=self.alpha_bar.to(device))

    @property
    def num_steps(self) -> int:
        """T."""
        return len(self.alpha_bar)

    def draw_levels(self, number: int, generator: torch.Generator) -> Tensor:
        """Draw indices [B], uniform in 0..T - 1."""
        return torch.randint(self.num_steps, (number,), generator=generator)

    def times(self, level: Tensor) -> Tensor:
        """Return the times t / T [B] that the network gets for indices."""
        return (level + 1) / self.num_steps

    def scales(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scales of signal and noise at indices [B], float32 [B, 1, 1, 1]."""
        alpha_bar = self.alpha_bar[index]
        signal, noise = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        return signal.float()[:, None, None, None], noise.float()[:, None, None, None]

    def add_noise(self, x0: Tensor, noise: Tensor, index: Tensor) -> Tensor:
        """Return x_t of images x_0 [B, C, H, W]."""
        signal, strength = self.scales(index)
        return signal * x0 + strength * noise

    def target(self, prediction: str, x0: Tensor, noise: Tensor, index: Tensor) -> Tensor:
        """Return the network's target: noise, x_0, or v (Salimans and Ho 2022, appendix D)."""
        if prediction == "epsilon":
            return noise
        if prediction == "x0":
            return x0
        signal, strength = self.scales(index)
        return signal * noise - strength * x0

    def split(
        self, prediction: str, out: Tensor, x: Tensor, index: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the (x_0, noise) that the network's output for x_t implies."""
        signal, strength = self.scales(index)
        if prediction == "epsilon":
            return (x - strength * out) / signal, out
        if prediction == "x0":
            return out, (x - signal * out) / strength
        return signal * x - strength * out, strength * x + signal * out

    def weight(self, prediction: str, gamma: float | None, index: Tensor) -> Tensor:
        """Return the loss weights [B]: one, or min-SNR-gamma (Hang et al. 2023, eq. 5)."""
        if gamma is None:
            return torch.ones(len(index), device=index.device)
        alpha_bar = self.alpha_bar[index]
        ratio = alpha_bar / (1 - alpha_bar)
        clipped = ratio.clamp(max=gamma)
        if prediction == "x0":
            return clipped.float()
        divisor = ratio if prediction == "epsilon" else ratio + 1
        return (clipped / divisor).float()


def linear(num_steps: int, beta_1: float, beta_last: float) -> Schedule:
    """Return a schedule of linear betas from ``beta_1`` to ``beta_last`` (Ho et al. 2020)."""
    betas = torch.linspace(beta_1, beta_last, num_steps, dtype=torch.float64)
    return Schedule(alpha_bar=torch.cumprod(1 - betas, 0))


def cosine(num_steps: int, offset: float = 0.008) -> Schedule:
    """Return the cosine schedule, with betas <= 0.999 (Nichol and Dhariwal 2021, eq. 17)."""
    t = torch.arange(num_steps + 1, dtype=torch.float64) / num_steps
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return Schedule(alpha_bar=torch.cumprod(1 - betas, 0))
