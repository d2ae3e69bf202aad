"""How many units or seeds would decide an undecided claim."""

from __future__ import annotations

from typing import Any

import pytest
from scipy import stats

from results.statistics.power import describe_needed_data


def test_needed_data_has_80_percent_power() -> None:
    words = describe_needed_data(
        distance=0.01, variance=0.01**2, over_seeds=0.0, num_units=1000, num_seeds=1,
        unit="queries", alpha=0.05,
    )  # fmt: skip
    needed = int("".join(sign for sign in words if sign.isdigit()))
    error = 0.01 * (1000 / needed) ** 0.5
    power = float(stats.norm.sf(1.96 - 0.01 / error))
    assert words.endswith(" queries")
    assert power == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"over_seeds": 0.9e-4, "num_seeds": 3}, "about 99 seeds"),
        ({"over_seeds": 1e-4, "num_seeds": 3, "num_units": None}, "about 24 seeds"),
        ({"over_seeds": 1e-4, "num_seeds": 20}, "more than 100 seeds"),
        ({"over_seeds": 1e-6, "num_seeds": 3}, "about 8,500 queries"),
        ({"over_seeds": 0.5e-4, "num_seeds": 3}, "more seeds together with more queries"),
        ({"distance": 1e-5}, "more than 100,000 queries"),
        (
            {"distance": 0.0},
            "more data or seeds, but an observed difference of 0 does not show how many",
        ),
    ],
)
def test_needed_data_names_seeds_or_units(more: dict[str, Any], expected: str) -> None:
    plain: dict[str, Any] = {
        "distance": 0.01, "variance": 1e-4, "over_seeds": 0.0, "num_units": 1000, "num_seeds": 1,
        "unit": "queries", "alpha": 0.05,
    }  # fmt: skip
    assert describe_needed_data(**(plain | more)) == expected
