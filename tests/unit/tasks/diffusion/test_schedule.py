"""Noise schedules compared with their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.diffusion import schedule

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


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
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
    assert (LINEAR.weight("epsilon", None, index) == 1).all()
