"""Flow matching on straight paths (Liu et al. 2023, eq. 1; Lipman et al. 2023), and its samplers.

x_t = (1 - t) x_0 + t noise. The network predicts the velocity dx/dt = noise - x_0, which the
samplers integrate from t = 1 (noise) to t = 0 (images). ``Flow`` has the methods of ``Schedule``;
its levels are times in 0..1 instead of indices.

B batch, C channels
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]


class Flow:
    """The straight paths from images to noise."""

    def to(self, device: str | torch.device) -> Flow:
        """Return the same, because there is nothing to copy."""
        return self

    def draw_levels(self, number: int, generator: torch.Generator) -> Tensor:
        """Draw times [B], uniform in 0..1."""
        return torch.rand(number, generator=generator)

    def times(self, level: Tensor) -> Tensor:
        """Return the times [B] that the network gets."""
        return level

    def add_noise(self, x0: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Return x_t of images x_0 [B, C, H, W]."""
        time = level[:, None, None, None]
        return (1 - time) * x0 + time * noise

    def target(self, prediction: str, x0: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Return the network's target, the velocity."""
        return noise - x0

    def weight(self, prediction: str, gamma: float | None, level: Tensor) -> Tensor:
        """Return the loss weights [B]: one, or min-SNR-gamma (Hang et al. 2023, eq. 5).

        An error of the velocity is an error of x_0 divided by t, because x_0 = x_t - t velocity.
        """
        if gamma is None:
            return torch.ones_like(level)
        # min(((1 - t) / t) ** 2, gamma) * t ** 2, without a division by t
        return torch.minimum((1 - level) ** 2, gamma * level**2)


def euler(velocity: Velocity, x: Tensor, number: int) -> Iterator[Tensor]:
    """Integrate in ``number`` equal steps of Euler's method; yields x after each step."""
    for step in range(number, 0, -1):
        x = x - velocity(x, _times(x, step / number)) / number
        yield x


def heun(velocity: Velocity, x: Tensor, number: int) -> Iterator[Tensor]:
    """Integrate in ``number`` equal steps of Heun's method, of second order.

    Each step needs two velocities. Yields x after each step.
    """
    for step in range(number, 0, -1):
        now = velocity(x, _times(x, step / number))
        following = velocity(x - now / number, _times(x, (step - 1) / number))
        x = x - (now + following) / (2 * number)
        yield x


def _times(x: Tensor, time: float) -> Tensor:
    return torch.full((len(x),), time, device=x.device, dtype=x.dtype)
