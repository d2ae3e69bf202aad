"""Samplers on a Gaussian, whose exact path is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tasks.diffusion import samplers, schedule
from tasks.diffusion.sampling import SamplingConfig, sample_batches

LINEAR = schedule.linear(500, 1e-4, 0.02)
SPREAD = 0.2  # of a Gaussian data set, whose best denoiser is known


def gaussian(x: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The posterior mean of x_0, and of the noise, for pixels that are N(0, SPREAD ** 2)."""
    alpha_bar = LINEAR.alpha_bar[index].float()[:, None, None, None]
    total = alpha_bar * SPREAD**2 + 1 - alpha_bar
    return alpha_bar.sqrt() * SPREAD**2 * x / total, (1 - alpha_bar).sqrt() * x / total


def last(steps: Any) -> torch.Tensor:
    return list(steps)[-1]


def test_every_sampler_draws_a_known_gaussian() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((100, 3, 8, 8), generator=generator)
    drawn = {
        "ancestral": last(samplers.ancestral(gaussian, LINEAR, noise, generator)),
        "ddim": last(samplers.ddim(gaussian, LINEAR, noise, 500, clip=False)),
        "noisy ddim": last(
            samplers.ddim(gaussian, LINEAR, noise, 500, generator, eta=1.0, clip=False)
        ),
        "dpm": last(samplers.dpm_solver(gaussian, LINEAR, noise, 50, clip=False)),
    }
    for name, images in drawn.items():
        assert float(images.std()) == pytest.approx(SPREAD, rel=0.05), name
        assert abs(float(images.mean())) < 0.01, name


def test_solvers_converge_to_the_exact_path() -> None:
    """For a Gaussian the probability flow only rescales x: x_0 = SPREAD / std(x_T) x_T."""
    noise = torch.randn((4, 3, 8, 8), generator=torch.Generator().manual_seed(1))
    alpha_bar = float(LINEAR.alpha_bar[-1])
    exact = SPREAD / (alpha_bar * SPREAD**2 + 1 - alpha_bar) ** 0.5 * noise
    errors = {}
    for number in (10, 20, 40):
        for name, solver in (("ddim", samplers.ddim), ("dpm", samplers.dpm_solver)):
            found = last(solver(gaussian, LINEAR, noise, number, clip=False))
            errors[name, number] = float((found - exact).abs().max())
    assert errors["dpm", 20] < errors["ddim", 20]  # second order against first
    for name in ("ddim", "dpm"):
        assert errors[name, 40] < errors[name, 20] < errors[name, 10]


@pytest.mark.parametrize("number", [1, 2, 7, 500])
def test_spaced_steps_cover_all_levels(number: int) -> None:
    found = samplers.spaced_indices(500, number)
    assert len(found) == number
    assert found[0] == 499
    assert found == sorted(set(found), reverse=True)
    assert number == 1 or found[-1] == 0


def test_guidance_with_scale_1_is_the_conditional_prediction() -> None:
    conditional, unconditional = torch.randn(2, 3), torch.randn(2, 3)
    torch.testing.assert_close(samplers.guided(conditional, unconditional, 1.0), conditional)
    torch.testing.assert_close(samplers.guided(conditional, unconditional, 0.0), unconditional)
    torch.testing.assert_close(
        samplers.guided(conditional, unconditional, 2.0), 2 * conditional - unconditional
    )


@pytest.mark.parametrize("sampler", ["ancestral", "ddim", "dpm", "euler", "heun"])
def test_no_step_reads_a_value_from_the_device(sampler: str) -> None:
    """Reading one would wait for a GPU. The device meta has no values to read."""
    config = SamplingConfig(
        schedule="linear",
        num_steps=8,
        beta_1=1e-4,
        beta_last=0.02,
        prediction="flow" if sampler in ("euler", "heun") else "v",
        guidance=2.0,
        sampler=sampler,
        eta=1.0,
        sampling_steps=4,
    )
    condition = torch.zeros((1, 6), device="meta")
    generator = torch.Generator().manual_seed(0)

    def predict(x: torch.Tensor, time: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        assert {x.device, time.device, condition.device} == {torch.device("meta")}
        return x

    (steps,) = sample_batches(predict, config, condition, 2, generator)
    assert [x.device.type for x in steps] == ["meta"] * (8 if sampler == "ancestral" else 4)
