"""Samplers: ancestral sampling, DDIM, and a second-order solver for few steps.

A sampler is a generator that yields x after each of its steps; the last x is the images.
``denoise(x, index)`` returns the predicted (x_0, noise) of x_t.

B batch, C channels
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from tasks.diffusion.schedule import Schedule

Denoise = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def guided(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Apply classifier-free guidance (Ho and Salimans 2022, eq. 6); scale 1 has no effect."""
    return unconditional + scale * (conditional - unconditional)


def spaced_indices(num_steps: int, number: int) -> list[int]:
    """Return ``number`` evenly spaced indices from T - 1 down to 0."""
    if number == 1:
        return [num_steps - 1]
    indices = torch.linspace(num_steps - 1, 0, number, dtype=torch.float64).round()
    return sorted({int(index) for index in indices}, reverse=True)


def _indices(x: Tensor, index: int) -> Tensor:
    return torch.full((len(x),), index, device=x.device)


def ancestral(
    denoise: Denoise, schedule: Schedule, x: Tensor, generator: torch.Generator
) -> Iterator[Tensor]:
    """Sample in all T steps with the posterior's mean and variance (Ho et al. 2020, eq. 6, 7)."""
    alpha_bar = schedule.alpha_bar
    for index in range(schedule.num_steps - 1, -1, -1):
        before = float(alpha_bar[index - 1]) if index else 1.0
        now = float(alpha_bar[index])
        alpha = now / before
        x0, _ = denoise(x, _indices(x, index))
        x0 = x0.clamp(-1, 1)
        mean = (before**0.5 * (1 - alpha) * x0 + alpha**0.5 * (1 - before) * x) / (1 - now)
        x = mean
        if index:
            noise = torch.randn(x.shape, generator=generator).to(x.device)
            x = mean + ((1 - alpha) * (1 - before) / (1 - now)) ** 0.5 * noise
        yield x


def ddim(
    denoise: Denoise,
    schedule: Schedule,
    x: Tensor,
    number: int,
    generator: torch.Generator | None = None,
    *,
    eta: float = 0.0,
    clip: bool = True,
) -> Iterator[Tensor]:
    """Sample in ``number`` steps of DDIM (Song et al. 2021, eq. 12 and 16).

    With ``eta`` 0 the steps are deterministic. With 1 each step adds as much noise as ancestral
    sampling, which corrects errors of earlier steps.
    """
    indices = spaced_indices(schedule.num_steps, number)
    for index, following in zip(indices, [*indices[1:], None], strict=True):
        x0, noise = denoise(x, _indices(x, index))
        if clip:
            x0, noise = _clip(schedule, x, x0, index)
        if following is None:
            x = x0
        else:
            now, after = float(schedule.alpha_bar[index]), float(schedule.alpha_bar[following])
            variance = eta**2 * (1 - after) / (1 - now) * (1 - now / after)
            x = after**0.5 * x0 + (1 - after - variance) ** 0.5 * noise
            if eta:
                new_noise = torch.randn(x.shape, generator=generator).to(x.device)
                x = x + variance**0.5 * new_noise
        yield x


def dpm_solver(
    denoise: Denoise, schedule: Schedule, x: Tensor, number: int, *, clip: bool = True
) -> Iterator[Tensor]:
    """Sample in ``number`` steps of DPM-Solver++(2M) (Lu et al. 2022, algorithm 2).

    The last step is of first order.
    """
    indices = spaced_indices(schedule.num_steps, number)
    half_log = 0.5 * (schedule.alpha_bar.log() - (1 - schedule.alpha_bar).log())  # log SNR / 2
    previous: tuple[Tensor, float] | None = None  # the last x_0 and the length of the last step
    for index, following in zip(indices, [*indices[1:], None], strict=True):
        x0, _ = denoise(x, _indices(x, index))
        if clip:
            x0 = x0.clamp(-1, 1)
        if following is None:
            x = x0
        else:
            step = float(half_log[following] - half_log[index])
            now, after = float(schedule.alpha_bar[index]), float(schedule.alpha_bar[following])
            direction = x0
            if previous is not None and following != indices[-1]:  # the last log SNR step is large
                last, last_step = previous
                ratio = last_step / step
                direction = (1 + 1 / (2 * ratio)) * x0 - 1 / (2 * ratio) * last
            shrink = ((1 - after) / (1 - now)) ** 0.5
            gain = after**0.5 * -torch.expm1(torch.tensor(-step)).item()
            x = shrink * x + gain * direction
            previous = (x0, step)
        yield x


def _clip(schedule: Schedule, x: Tensor, x0: Tensor, index: int) -> tuple[Tensor, Tensor]:
    """Clip x_0 to [-1, 1], and return it with the noise that is consistent with x."""
    x0 = x0.clamp(-1, 1)
    alpha_bar = float(schedule.alpha_bar[index])
    return x0, (x - alpha_bar**0.5 * x0) / (1 - alpha_bar) ** 0.5
