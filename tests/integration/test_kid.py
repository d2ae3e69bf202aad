"""The KID compared with slow oracles."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tasks.diffusion import kid


def slow_kid(drawn: Any, real: Any) -> float:
    """Binkowski et al. 2018, equation 4, pair by pair."""

    def kernel(x: Any, y: Any) -> float:
        return float((sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3)

    ours = [kernel(x, y) for x, y in itertools.permutations(drawn, 2)]
    theirs = [kernel(x, y) for x, y in itertools.permutations(real, 2)]
    across = [kernel(x, y) for x in drawn for y in real]
    return float(np.mean(ours) + np.mean(theirs) - 2 * np.mean(across))


@pytest.mark.parametrize(("n", "m"), [(3, 3), (5, 8)])
def test_kid_and_its_variance_match_the_definition(n: int, m: int) -> None:
    rng = np.random.default_rng(0)
    drawn, real = rng.normal(0.5, 1, (n, 4)), rng.normal(0, 1, (m, 4))
    real[1] = real[0]  # a tie
    value, variance = kid.distance(drawn, real)
    assert value == pytest.approx(slow_kid(drawn, real))
    expected = 0.0
    for which, number in ((0, n), (1, m)):
        parts = []
        for left_out in range(number):
            both = [drawn, real]
            both[which] = np.delete(both[which], left_out, axis=0)
            parts.append(slow_kid(*both))
        expected += (number - 1) * float(np.var(parts))
    assert variance == pytest.approx(expected)


@pytest.mark.parametrize(("shift", "most"), [(0.0, 1.0), (0.3, 0.99), (1.0, 0.99)])
def test_kid_is_unbiased_and_its_interval_covers(shift: float, most: float) -> None:
    """For two Gaussians the true distance is a sum over the means of x, x x and x x x.

    If both distributions are equal, the variance of the jackknife is too large, not too small.
    """
    rng, size = np.random.default_rng(0), 4
    square = size * shift**2
    third = square**3 + 6 * square**2 + (3 * size + 6) * square
    truth = 3 * square / size + 3 * square**2 / size**2 + third / size**3
    found = []
    for _ in range(200):  # a group's value is the mean of its conditions', here four alike
        pairs = [(rng.normal(shift, 1, (64, size)), rng.normal(0, 1, (150, size))) for _ in "1234"]
        found.append(kid.summarize("", [kid.distance(*pair) for pair in pairs]))
    values = np.array([one["kid"] for one in found])
    assert abs(values.mean() - truth) < 4 * values.std() / len(values) ** 0.5
    covered = np.mean([one["kid_low"] <= truth <= one["kid_high"] for one in found])
    assert 0.91 <= covered <= most
