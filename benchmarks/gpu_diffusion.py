"""Diffusion on a GPU: training against a loop of torch, sampling against diffusers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.comparison import Comparison

STEPS = 25  # of DDIM


def training_epoch(device: str, draws: int, features: int) -> Comparison:
    """Train an epoch, against a loop of torch whose data set is on the device."""
    import torch

    from tasks.contract import Trial
    from tasks.datasets import concepts
    from tasks.diffusion import training
    from tasks.diffusion.probe import to_pixels
    from tasks.diffusion.task import TASK
    from tasks.diffusion.unet import UNet

    model, data = TASK.resolve(TASK.default_model, TASK.default_data)
    params = TASK.Params(draws=draws, features=features, ema=0.0, precision="float32")
    trial = TASK.normalize(
        Trial(task=TASK.name, version=TASK.version, params=params, seed=0, model=model, data=data)
    )
    state = training.start(trial, device)
    found = concepts.load_split(data, "train")
    pixels = to_pixels(found.images).to(device)
    conditions = torch.from_numpy(found.encoded).to(device)
    network = UNet(features).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    betas = torch.linspace(params.beta_1, params.beta_last, params.num_steps, device=device)
    signal = torch.cumprod(1 - betas, 0)

    def plain() -> None:
        for _ in range(draws // params.batch_size):
            rows = torch.randint(len(pixels), (params.batch_size,), device=device)
            index = torch.randint(params.num_steps, (params.batch_size,), device=device)
            x0, noise, share = pixels[rows], torch.randn_like(pixels[rows]), signal[index]
            share = share[:, None, None, None]
            noisy = share.sqrt() * x0 + (1 - share).sqrt() * noise
            out = network(noisy, (index + 1) / params.num_steps, conditions[rows])
            loss = torch.nn.functional.mse_loss(out, noise)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return Comparison(
        name=f"diffusion, train {features} features",
        unit="images",
        amount=draws,
        ours=lambda: training.train_epoch(trial, state, device),
        plain=plain,
    )


def sampling(device: str, images: int, features: int) -> Comparison:
    """Sample with DDIM, against the scheduler of diffusers around the same network.

    Both place their steps evenly and clip predictions of the image.
    """
    import torch
    from diffusers import DDIMScheduler

    from tasks.datasets import concepts
    from tasks.diffusion.sampling import (
        SAMPLE_BATCH,
        SHAPE,
        SamplingConfig,
        noise_generator,
        sample_batches,
    )
    from tasks.diffusion.task import TASK
    from tasks.diffusion.unet import UNet

    _, data = TASK.resolve(TASK.default_model, TASK.default_data)
    split = concepts.load_split(data, "train")
    condition = torch.from_numpy(split.encoded[:1]).to(device)
    network = UNet(features).to(device).eval()
    config = SamplingConfig(
        schedule="linear",
        num_steps=500,
        beta_1=1e-4,
        beta_last=0.02,
        prediction="epsilon",
        guidance=1.0,
        sampler="ddim",
        eta=0.0,
        sampling_steps=STEPS,
    )
    scheduler = DDIMScheduler(
        num_train_timesteps=config.num_steps,
        beta_start=config.beta_1,
        beta_end=config.beta_last,
        timestep_spacing="linspace",
    )

    @torch.inference_mode()
    def ours() -> Any:
        generator = noise_generator(0, 0)
        batches = sample_batches(network, config, condition, images, generator)
        return torch.cat([list(steps)[-1].cpu() for steps in batches])

    @torch.inference_mode()
    def plain() -> Any:
        noise = torch.randn((images, *SHAPE), generator=noise_generator(0, 0))
        done = []
        for x in torch.split(noise.to(device), SAMPLE_BATCH):
            conditions = condition.expand(len(x), -1)
            scheduler.set_timesteps(STEPS, device=device)
            for step in scheduler.timesteps:
                time = ((step + 1) / config.num_steps).expand(len(x))
                out = network(x, time, conditions)
                x = scheduler.step(out, step, x, use_clipped_model_output=True).prev_sample
            done.append(x.cpu())
        return torch.cat(done)

    return Comparison(
        name=f"diffusion, sample with {features} features in {STEPS} steps, against diffusers",
        unit="images",
        amount=images,
        ours=ours,
        plain=plain,
    )


def comparisons(device: str, *, small: bool) -> Iterator[Comparison]:
    """Yield both comparisons; without diffusers, say so and yield the first."""
    import importlib.util

    features = 8 if small else 64
    yield training_epoch(device, 128 if small else 6400, features)
    if importlib.util.find_spec("diffusers"):
        yield sampling(device, 16 if small else 1024, features)
    else:
        print("diffusers is not installed, so sampling is not compared with it")
