"""Flow matching: paths, velocities, and integrators on fields with known solutions."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tasks.diffusion import flow

SPREAD = 0.2  # of a Gaussian data set, whose best velocity is known


def last(steps: Any) -> torch.Tensor:
    return list(steps)[-1]


def test_target_is_the_derivative_of_the_path() -> None:
    generator = torch.Generator().manual_seed(0)
    x0, noise = torch.randn((2, 5, 3, 4, 4), generator=generator, dtype=torch.float64)
    path, time = flow.Flow(), torch.tensor([0.0, 0.1, 0.5, 0.8, 1.0], dtype=torch.float64)
    step = 1e-6
    slope = (path.add_noise(x0, noise, time + step) - path.add_noise(x0, noise, time)) / step
    torch.testing.assert_close(slope, path.target("flow", x0, noise, time), atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(path.add_noise(x0, noise, time)[0], x0[0])
    torch.testing.assert_close(path.add_noise(x0, noise, time)[4], noise[4])


def test_levels_are_uniform_times() -> None:
    drawn = flow.Flow().draw_levels(20_000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(flow.Flow().times(drawn), drawn)
    assert 0 <= float(drawn.min()) < float(drawn.max()) < 1
    quantiles = drawn.quantile(torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(quantiles, torch.tensor([0.25, 0.5, 0.75]), atol=0.01, rtol=0)


def test_min_snr_weighs_the_error_of_x0_by_at_most_gamma() -> None:
    time = torch.linspace(0.01, 1, 100)
    snr = ((1 - time) / time) ** 2
    expected = snr.clamp(max=5.0) * time**2  # x_0 = x_t - t velocity
    torch.testing.assert_close(flow.Flow().weight("flow", 5.0, time), expected)
    assert (flow.Flow().weight("flow", None, time) == 1).all()


@pytest.mark.parametrize("number", [1, 2, 7])
@pytest.mark.parametrize("integrate", [flow.euler, flow.heun])
def test_constant_velocity_is_integrated_exactly(integrate: Any, number: int) -> None:
    """One image: the velocity noise - x_0 is constant along each path."""
    generator = torch.Generator().manual_seed(0)
    x0, noise = torch.randn((2, 4, 3, 2, 2), generator=generator, dtype=torch.float64)
    steps = list(integrate(lambda x, time: noise - x0, noise, number))
    assert len(steps) == number
    torch.testing.assert_close(steps[-1], x0)


@pytest.mark.parametrize(
    ("integrate", "evaluations"), [(flow.euler, 1), (flow.heun, 2)], ids=["euler", "heun"]
)
def test_times_fall_from_1_in_equal_steps(integrate: Any, evaluations: int) -> None:
    asked = []

    def velocity(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        assert time.shape == (len(x),)
        asked.append(float(time[0]))
        return torch.zeros_like(x)

    list(integrate(velocity, torch.zeros(3, 1, 1, 1), 4))
    ends = [(step / 4, (step - 1) / 4)[:evaluations] for step in (4, 3, 2, 1)]
    assert asked == [time for pair in ends for time in pair]


def exact(time: float) -> float:
    """The solution of dx/dt = x cos(3 t) with x = 1 at t = 1."""
    return math.exp((math.sin(3 * time) - math.sin(3)) / 3)


def test_euler_is_of_first_and_heun_of_second_order() -> None:
    start = torch.ones((1, 1, 1, 1), dtype=torch.float64)

    def velocity(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        return x * torch.cos(3 * time)[:, None, None, None]

    orders = {}
    for name, integrate in (("euler", flow.euler), ("heun", flow.heun)):
        errors = [
            abs(float(last(integrate(velocity, start, number))) - exact(0)) for number in (256, 512)
        ]
        orders[name] = math.log2(errors[0] / errors[1])
    assert orders["euler"] == pytest.approx(1, abs=0.1)
    assert orders["heun"] == pytest.approx(2, abs=0.1)


def gaussian(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """The best velocity, E[noise - x_0 | x_t], for pixels that are N(0, SPREAD ** 2)."""
    t = time[:, None, None, None]
    return (t - (1 - t) * SPREAD**2) / ((1 - t) ** 2 * SPREAD**2 + t**2) * x


@pytest.mark.parametrize("integrate", [flow.euler, flow.heun])
def test_samplers_draw_a_known_gaussian(integrate: Any) -> None:
    """The exact map from noise to images only rescales: x_0 = SPREAD x_1."""
    noise = torch.randn((4, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    errors = [
        float((last(integrate(gaussian, noise, number)) - SPREAD * noise).abs().max())
        for number in (10, 40, 160)
    ]
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < (0.05 if integrate is flow.euler else 1e-3)
