"""From a trained network to images: its noise levels, its guidance and its sampler.

Exported models contain this file, ``schedule.py``, ``samplers.py`` and ``unet.py`` as they are.

B batch, N images
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.diffusion.samplers import ancestral, ddim, dpm_solver, guided
from tasks.diffusion.schedule import Schedule, cosine, linear

SAMPLE_BATCH = 256
SHAPE = (3, 28, 28)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """What images depend on, beside the network, the condition and the seed."""

    schedule: str  # linear or cosine
    num_steps: int  # T, the number of noise levels
    beta_1: float
    beta_last: float
    prediction: str  # of the network: epsilon or v
    guidance: float
    sampler: str  # ancestral, ddim or dpm
    eta: float
    sampling_steps: int


def noise_levels(sampling: Sampling) -> Schedule:
    """The model's noise schedule."""
    if sampling.schedule == "cosine":
        return cosine(sampling.num_steps)
    return linear(sampling.num_steps, sampling.beta_1, sampling.beta_last)


def encode_conditions(digits: Any, colors: Any, sizes: Any) -> Tensor:
    """Conditions as the network takes them, [N, 6]: shape one-hot, color, size."""
    shapes = np.eye(2, dtype=np.float32)[digits[:, 0]]
    return torch.from_numpy(np.concatenate([shapes, colors, sizes[:, None]], 1)).float()


def noise_generator(seed: int, number: int) -> torch.Generator:
    """The random numbers of a condition, by its number in the order of all conditions."""
    return torch.Generator().manual_seed(seed * 1_000_003 + 500_000 + number)


def sample_batches(
    predict: Callable[[Tensor, Tensor, Tensor], Tensor],
    sampling: Sampling,
    condition: Tensor,
    number: int,
    generator: torch.Generator,
) -> Iterator[Iterator[Tensor]]:
    """For each batch of ``number`` images, the batch after each step: pixels in -1..1 at the end.

    ``predict(x, time, condition)`` is the network. ``condition`` [1, 6] is on its device.
    """
    levels = noise_levels(sampling)

    def denoise(x: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        time, asked = (index + 1) / levels.num_steps, condition.expand(len(x), -1)
        out = predict(x, time, asked)
        if sampling.guidance != 1:
            out = guided(out, predict(x, time, torch.zeros_like(asked)), sampling.guidance)
        return levels.split(sampling.prediction, out, x, index)

    noise = torch.randn((number, *SHAPE), generator=generator)
    for part in noise.split(SAMPLE_BATCH):  # type: ignore[no-untyped-call]
        x = part.to(condition.device)
        if sampling.sampler == "ancestral":
            yield ancestral(denoise, levels, x, generator)
        elif sampling.sampler == "ddim":
            steps = sampling.sampling_steps
            yield ddim(denoise, levels, x, steps, generator, eta=sampling.eta)
        else:
            yield dpm_solver(denoise, levels, x, sampling.sampling_steps)


def to_images(pixels: Tensor) -> Any:
    """float [N, 3, H, W] in -1..1 -> uint8 [N, H, W, 3]."""
    scaled = ((pixels.clamp(-1, 1) + 1) * 127.5).round()
    return np.asarray(scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())
