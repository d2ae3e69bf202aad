"""Sample images from a trained network.

Exported models contain a copy of this file, ``schedule.py``, ``samplers.py`` and ``unet.py``.

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
class SamplingConfig:
    """Everything that images depend on, except the network, the condition and the seed."""

    schedule: str  # linear or cosine
    num_steps: int  # T, the number of noise levels
    beta_1: float
    beta_last: float
    prediction: str  # the network's output: epsilon or v
    guidance: float
    sampler: str  # ancestral, ddim or dpm
    eta: float
    sampling_steps: int


def make_schedule(sampling: SamplingConfig) -> Schedule:
    """Return the noise schedule of the model."""
    if sampling.schedule == "cosine":
        return cosine(sampling.num_steps)
    return linear(sampling.num_steps, sampling.beta_1, sampling.beta_last)


def encode_conditions(digits: Any, colors: Any, sizes: Any) -> Tensor:
    """Encode conditions as inputs of the network, [N, 6]: one-hot shape, color, size."""
    shapes = np.eye(2, dtype=np.float32)[digits[:, 0]]
    return torch.from_numpy(np.concatenate([shapes, colors, sizes[:, None]], 1)).float()


def noise_generator(seed: int, number: int) -> torch.Generator:
    """Return the random generator of the condition with this number."""
    return torch.Generator().manual_seed(seed * 1_000_003 + 500_000 + number)


def sample_batches(
    predict: Callable[[Tensor, Tensor, Tensor], Tensor],
    sampling: SamplingConfig,
    condition: Tensor,
    number: int,
    generator: torch.Generator,
) -> Iterator[Iterator[Tensor]]:
    """Sample ``number`` images of a condition [1, 6] in batches.

    For each batch this yields an iterator over x after each step, [B, 3, 28, 28]; the last x is
    the pixels in -1..1. ``predict(x, time, condition)`` is the network.
    """
    schedule = make_schedule(sampling)

    def denoise(x: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        time, conditions = (index + 1) / schedule.num_steps, condition.expand(len(x), -1)
        out = predict(x, time, conditions)
        if sampling.guidance != 1:
            out = guided(out, predict(x, time, torch.zeros_like(conditions)), sampling.guidance)
        return schedule.split(sampling.prediction, out, x, index)

    noise = torch.randn((number, *SHAPE), generator=generator)
    for part in noise.split(SAMPLE_BATCH):  # type: ignore[no-untyped-call]
        x = part.to(condition.device)
        if sampling.sampler == "ancestral":
            yield ancestral(denoise, schedule, x, generator)
        elif sampling.sampler == "ddim":
            steps = sampling.sampling_steps
            yield ddim(denoise, schedule, x, steps, generator, eta=sampling.eta)
        else:
            yield dpm_solver(denoise, schedule, x, sampling.sampling_steps)


def to_images(pixels: Tensor) -> Any:
    """Convert pixels float [N, 3, H, W] in -1..1 to images uint8 [N, H, W, 3]."""
    scaled = ((pixels.clamp(-1, 1) + 1) * 127.5).round()
    return np.asarray(scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())
