"""Sample images from a trained network.

Exported models contain a copy of this file and of the modules that it uses.

B batch, N images, E numbers of an encoded condition
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.diffusion.flow import Flow, euler, heun
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
    prediction: str  # the network's output: epsilon, x0, v or flow
    guidance: float
    sampler: str  # ancestral, ddim or dpm; euler or heun with prediction flow
    eta: float
    sampling_steps: int


def make_schedule(sampling: SamplingConfig) -> Schedule | Flow:
    """Return the noise schedule of the model, or the paths of flow matching."""
    if sampling.prediction == "flow":
        return Flow()
    if sampling.schedule == "cosine":
        return cosine(sampling.num_steps)
    return linear(sampling.num_steps, sampling.beta_1, sampling.beta_last)


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
    """Sample ``number`` images of an encoded condition [1, E] in batches.

    For each batch this yields an iterator over x after each step, [B, 3, 28, 28]; the last x is
    the pixels in -1..1. ``predict(x, time, condition)`` is the network.
    """
    schedule = make_schedule(sampling)

    def output(x: Tensor, level: Tensor) -> Tensor:
        time, conditions = schedule.times(level), condition.expand(len(x), -1)
        out = predict(x, time, conditions)
        if sampling.guidance != 1:
            out = guided(out, predict(x, time, torch.zeros_like(conditions)), sampling.guidance)
        return out

    noise = torch.randn((number, *SHAPE), generator=generator)
    for part in noise.split(SAMPLE_BATCH):  # type: ignore[no-untyped-call]
        x = part.to(condition.device)
        if isinstance(schedule, Flow):
            integrate = heun if sampling.sampler == "heun" else euler
            yield integrate(output, x, sampling.sampling_steps)
        else:
            yield _run_sampler(output, schedule, sampling, x, generator)


def _run_sampler(
    output: Callable[[Tensor, Tensor], Tensor],
    schedule: Schedule,
    sampling: SamplingConfig,
    x: Tensor,
    generator: torch.Generator,
) -> Iterator[Tensor]:
    """Run a sampler of noise schedules."""
    on_device = schedule.to(x.device)  # samplers read single values, which would wait for a GPU

    def denoise(x: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        return on_device.split(sampling.prediction, output(x, index), x, index)

    steps = sampling.sampling_steps
    if sampling.sampler == "ancestral":
        return ancestral(denoise, schedule, x, generator)
    if sampling.sampler == "ddim":
        return ddim(denoise, schedule, x, steps, generator, eta=sampling.eta)
    return dpm_solver(denoise, schedule, x, steps)


def to_images(pixels: Tensor) -> Any:
    """Convert pixels float [N, 3, H, W] in -1..1 to images uint8 [N, H, W, 3]."""
    scaled = ((pixels.clamp(-1, 1) + 1) * 127.5).round()
    return np.asarray(scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())
