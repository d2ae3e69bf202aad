"""Train a diffusion model for one epoch, and sample images from it.

B batch, N images
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks.autocast import autocast
from tasks.contract import Source, State, Trial, TrialError
from tasks.diffusion import data, loading, sampling
from tasks.diffusion.params import Params
from tasks.diffusion.probe import to_pixels
from tasks.interrupt import check_interrupt
from tasks.progress import progress_part, report_progress
from tasks.transfer import to_device

Array = np.ndarray[Any, Any]
MIN_SNR_GAMMA = 5.0
DROPOUT_SEED = 250_000  # added to the seed of an epoch; larger than any number of epochs


def start(trial: Trial, device: str) -> State:
    """Return the initial state; its weights depend on the seed, but not on the device."""
    params: Params = trial.params
    network = loading.new_network(trial)
    weights = {name: value.detach().to(device) for name, value in network.named_parameters()}
    arrays = {f"weight.{name}": value.clone() for name, value in weights.items()}
    for part in ("mean", "square"):
        arrays |= {f"{part}.{name}": torch.zeros_like(value) for name, value in weights.items()}
    if params.ema:
        arrays |= {f"ema.{name}": value.clone() for name, value in weights.items()}
    for name, value in network.named_buffers():
        arrays[f"buffer.{name}"] = value.clone().to(device)
    return State(arrays=arrays, values={"epoch": 0, "steps": 0, **data.to_values(trial)})


@lru_cache(maxsize=2)
def _training_images(source: Source, unseen: str | None) -> tuple[Tensor, Tensor]:
    found = data.load_split(source, "train", data.read_conditions(source, unseen).seen)
    return to_pixels(found.images), torch.from_numpy(found.encoded)


def train_epoch(trial: Trial, state: State, device: str) -> tuple[State, float]:
    """Train on ``draws`` images with one noise level each; return the state and the mean loss.

    The images, noise levels and noise depend only on (seed, epoch), so they are the same in a
    resumed trial.

    Raises:
        TrialError: if the loss is not finite.
    """
    seed = trial.seed * 1_000_003 + state.values["epoch"] + 1
    # The dropout of a factory's network must not repeat the random numbers of noise and images.
    with loading.seeded(seed + DROPOUT_SEED, device):
        return _train_epoch(trial, state, seed, device)


def _train_epoch(trial: Trial, state: State, seed: int, device: str) -> tuple[State, float]:
    params: Params = trial.params
    schedule = sampling.make_schedule(sampling_config(params)).to(device)
    network = loading.load_network(trial, loading.weights_of(state), device).train()
    optimizer = _make_optimizer(network, state, params)
    epoch = state.values["epoch"] + 1
    generator = torch.Generator().manual_seed(seed)
    pixels, conditions = _training_images(trial.data, params.unseen)
    rows = torch.randint(len(pixels), (params.draws,), generator=generator)
    averaged = {
        name.removeprefix("ema."): value.clone()
        for name, value in state.arrays.items()
        if name.startswith("ema.")
    }
    total, step = torch.zeros((), device=device), state.values["steps"]
    batches = rows.split(params.batch_size)  # type: ignore[no-untyped-call]
    for number, chosen in enumerate(batches):
        check_interrupt()
        report_progress(number, len(batches))
        level = schedule.draw_levels(len(chosen), generator)
        noise = torch.randn((len(chosen), *pixels.shape[1:]), generator=generator)
        kept = torch.rand(len(chosen), generator=generator) >= params.drop_condition
        condition = to_device(conditions[chosen] * kept[:, None], device)
        x0, noise, level = (to_device(each, device) for each in (pixels[chosen], noise, level))
        with autocast(device, params.precision):
            x = schedule.add_noise(x0, noise, level)
            out = network(x, schedule.times(level), condition)
        error = (out.float() - schedule.target(params.prediction, x0, noise, level)) ** 2
        gamma = MIN_SNR_GAMMA if params.weighting == "min_snr" else None
        weight = schedule.weight(params.prediction, gamma, level)
        loss = (weight * error.mean(dim=(1, 2, 3))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(chosen)
        step += 1
        # Correct the bias to the initial weights, as for Adam's moments (Kingma and Ba 2015, 3).
        share = (1 - params.ema) / (1 - params.ema**step)
        for name, parameter in network.named_parameters() if averaged else ():
            averaged[name].lerp_(parameter.detach(), share)
    mean = float(total) / len(rows)
    if not math.isfinite(mean):
        raise TrialError(f"the loss is not finite at epoch {epoch}; lower lr")
    values = {**state.values, "epoch": epoch, "steps": step}
    return _save(network, optimizer, averaged, values), mean


def _make_optimizer(network: nn.Module, state: State, params: Params) -> torch.optim.Optimizer:
    """Return torch's Adam or AdamW with the moments of the state."""
    assert params.lr is not None
    kind = torch.optim.AdamW if params.optimiser == "adamw" else torch.optim.Adam
    optimizer = kind(
        network.parameters(), lr=params.lr, weight_decay=params.weight_decay, fused=True
    )
    for name, parameter in network.named_parameters():
        optimizer.state[parameter] = {
            "step": torch.tensor(float(state.values["steps"]), device=parameter.device),
            "exp_avg": state.arrays[f"mean.{name}"].clone(),
            "exp_avg_sq": state.arrays[f"square.{name}"].clone(),
        }
    return optimizer


def _save(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    averaged: dict[str, Tensor],
    values: dict[str, Any],
) -> State:
    arrays = {f"ema.{name}": value for name, value in averaged.items()}
    arrays |= {f"buffer.{name}": value.clone() for name, value in network.named_buffers()}
    for name, parameter in network.named_parameters():
        moments = optimizer.state[parameter]
        arrays[f"weight.{name}"] = parameter.detach().clone()
        arrays[f"mean.{name}"] = moments["exp_avg"]
        arrays[f"square.{name}"] = moments["exp_avg_sq"]
    return State(arrays=arrays, values=values)


def sampling_config(params: Params) -> sampling.SamplingConfig:
    """Return the sampling parameters of a trial."""
    names = (field.name for field in dataclasses.fields(sampling.SamplingConfig))
    return sampling.SamplingConfig(**{name: getattr(params, name) for name in names})


@torch.inference_mode()
def sample(trial: Trial, state: State, device: str) -> Array:
    """Sample images uint8 [C, num_samples, 28, 28, 3] of the C conditions, seen ones first.

    The initial noise depends only on (seed, condition), so trials with the same seed share it.
    """
    params: Params = trial.params
    weights = loading.weights_of(state, "ema" if params.ema else "weight")
    network = loading.load_network(trial, weights, device).eval()

    def predict(x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        check_interrupt()
        with autocast(device, params.precision):
            return network(x, time, condition).float()  # type: ignore[no-any-return]

    drawn = []
    conditions = data.conditions_of(trial)
    for number, condition in enumerate(conditions.codes):
        encoded = torch.tensor([conditions.encoded[condition]], device=device)
        generator = sampling.noise_generator(trial.seed, number)
        batches = sampling.sample_batches(
            predict, sampling_config(params), encoded, params.num_samples, generator
        )
        with progress_part(number, len(conditions.codes)):
            pixels = [_run(steps, params.sampling_steps) for steps in batches]
        drawn.append(sampling.to_images(torch.cat(pixels)))
    return np.stack(drawn)


def _run(steps: Iterator[Tensor], total: int) -> Tensor:
    """Run all steps of a sampler, report the progress, and return the last x."""
    for number, pixels in enumerate(steps):
        report_progress(number, total)
        x = pixels
    return x
