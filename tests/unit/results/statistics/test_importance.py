"""The variance that a parameter explains, on data whose answer is known."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from results.statistics.importance import explained_variance


def oracle(values: list[Any], metric: list[float]) -> float:
    """Epsilon squared as its definition has it: (SSB - (k - 1) MSW) / SST."""
    mean = sum(metric) / len(metric)
    groups = [
        [m for v, m in zip(values, metric, strict=True) if v == level] for level in set(values)
    ]
    between = sum(len(g) * (sum(g) / len(g) - mean) ** 2 for g in groups)
    total = sum((m - mean) ** 2 for m in metric)
    error = (total - between) / (len(metric) - len(groups))
    return min(1.0, max(0.0, (between - (len(groups) - 1) * error) / total))


def test_it_is_epsilon_squared() -> None:
    rng = np.random.default_rng(0)
    values = [int(v) for v in rng.integers(0, 4, 60)]
    metric = [float(v + e) for v, e in zip(values, rng.normal(size=60), strict=True)]
    assert explained_variance(values, metric) == pytest.approx(oracle(values, metric))


def test_a_parameter_that_decides_alone_explains_everything_and_another_nothing() -> None:
    grid = list(itertools.product([0.1, 0.2, 0.4], ["a", "b"], range(3)))
    metric = [10 * lr for lr, _, _ in grid]
    assert explained_variance([lr for lr, _, _ in grid], metric) == pytest.approx(1.0)
    assert explained_variance([kind for _, kind, _ in grid], metric) == pytest.approx(0.0)


def test_many_numbers_are_grouped_so_that_noise_explains_little() -> None:
    rng = np.random.default_rng(1)
    rates = [float(v) for v in rng.uniform(size=200)]
    smooth = [float((rate - 0.5) ** 2) for rate in rates]
    noise = [float(v) for v in rng.normal(size=200)]
    assert explained_variance(rates, smooth) > 0.85
    assert explained_variance(rates, noise) < 0.1


def test_groups_have_as_many_different_values_but_not_as_many_trials() -> None:
    values = [1.0] * 50 + [float(value) for value in range(2, 17)]
    metric = [float((int(value) - 1) // 2) for value in values]  # the group of two neighbors
    assert explained_variance(values, metric) == pytest.approx(1.0)


def test_what_cannot_be_judged_is_nan() -> None:
    assert math.isnan(explained_variance([1, 1, 1], [0.1, 0.2, 0.3]))
    assert math.isnan(explained_variance([1, 2, 3], [0.1, 0.2, 0.3]))
    assert math.isnan(explained_variance(["a", "a", "b", "b"], [0.5, 0.5, 0.5, 0.5]))
    assert math.isnan(explained_variance([], []))


def test_true_and_1_are_levels_of_their_own() -> None:
    values: list[Any] = [True, True, 1, 1]
    assert explained_variance(values, [0.0, 0.1, 1.0, 1.1]) > 0.9
