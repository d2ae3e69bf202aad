"""Noise schedules compared with their formulas."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from tasks.diffusion import samplers, schedule

LINEAR = schedule.linear(500, 1e-4, 0.02)


def test_linear_schedule_matches_the_protocol() -> None:
    betas = [1e-4 + (0.02 - 1e-4) * t / 499 for t in range(500)]
    expected = np.cumprod([1 - beta for beta in betas])
    np.testing.assert_allclose(LINEAR.alpha_bar.numpy(), expected, rtol=1e-12)
    assert float(LINEAR.alpha_bar[-1]) == pytest.approx(0.00635, abs=2e-4)


def test_cosine_schedule_matches_its_formula() -> None:
    found = schedule.cosine(100).alpha_bar
    f = np.cos((np.arange(101) / 100 + 0.008) / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(found[:-1].numpy(), (f / f[0])[1:-1], rtol=1e-9)
    betas = 1 - found[1:] / found[:-1]
    assert float(betas.max()) <= 0.999 + 1e-12


@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0"])
def test_prediction_splits_into_image_and_noise(prediction: str) -> None:
    torch.manual_seed(0)
    x0, noise = torch.randn(6, 3, 4, 4), torch.randn(6, 3, 4, 4)
    index = torch.tensor([0, 10, 100, 250, 400, 480])
    x = LINEAR.add_noise(x0, noise, index)
    found = LINEAR.split(prediction, LINEAR.target(prediction, x0, noise, index), x, index)
    torch.testing.assert_close(found[0], x0, atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(found[1], noise, atol=2e-3, rtol=1e-3)


def test_min_snr_bounds_the_weight_by_gamma() -> None:
    index = torch.arange(500)
    ratio = (LINEAR.alpha_bar / (1 - LINEAR.alpha_bar)).float()
    # Both parametrisations weigh the error of x_0 alike: by min(SNR, gamma).
    of_epsilon = LINEAR.weight("epsilon", 5.0, index) * ratio
    of_v = LINEAR.weight("v", 5.0, index) * (ratio + 1)
    torch.testing.assert_close(of_epsilon, ratio.clamp(max=5.0))
    torch.testing.assert_close(of_v, ratio.clamp(max=5.0))
    torch.testing.assert_close(LINEAR.weight("x0", 5.0, index), ratio.clamp(max=5.0))
    assert (LINEAR.weight("epsilon", None, index) == 1).all()


def test_predictions_of_the_same_noise_take_the_same_ddim_steps() -> None:
    """Epsilon, v and x0 are three ways to state one prediction."""
    generator = torch.Generator().manual_seed(0)
    schedule_ = schedule.cosine(50)
    start = torch.randn((2, 3, 4, 4), generator=generator)
    guess = torch.randn((2, 3, 4, 4), generator=generator)  # the x_0 that the network predicts

    def run(prediction: str) -> list[torch.Tensor]:
        def denoise(x: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            signal, strength = schedule_.scales(index)
            noise = (x - signal * guess) / strength
            out = schedule_.target(prediction, guess, noise, index)
            return schedule_.split(prediction, out, x, index)

        return list(samplers.ddim(denoise, schedule_, start, 10, clip=False))

    expected = []  # Song et al. 2021, eq. 12, written out with x_0 and the noise that x implies
    x, indices = start.double(), samplers.spaced_indices(50, 10)
    for index, following in itertools.pairwise(indices):
        now, after = float(schedule_.alpha_bar[index]), float(schedule_.alpha_bar[following])
        noise = (x - now**0.5 * guess.double()) / (1 - now) ** 0.5
        x = after**0.5 * guess.double() + (1 - after) ** 0.5 * noise
        expected.append(x)
    expected.append(guess.double())
    for prediction in ("epsilon", "v", "x0"):
        for found, wanted in zip(run(prediction), expected, strict=True):
            torch.testing.assert_close(found, wanted.float(), atol=1e-3, rtol=1e-3)
