"""Where a difference lies relative to the region that a claim names."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from results.statistics import Difference, Estimate
from results.statistics.regions import locate, region_of


def at(mean: float, error: float = 0.01, df: float = 1000) -> Difference:
    p_value = float(2 * stats.t.sf(abs(mean) / error, df)) if error else 1.0
    return Difference(Estimate(mean, mean - 0.02, mean + 0.02), p_value, "t", df, error, True)


@pytest.mark.parametrize(
    ("relation", "mean", "inside", "significant"),
    [
        (">", 0.05, True, True),
        (">", -0.05, False, True),
        (">", 0.01, True, False),
        ("<", -0.05, True, True),
        (">=", -0.05, True, True),  # within a margin of 0.1
        (">=", -0.15, False, True),
        (">=", -0.09, True, False),
        ("<=", 0.05, True, True),
        ("==", 0.0, True, True),
        ("==", 0.05, True, True),
        ("==", 0.09, True, False),
        ("==", -0.2, False, True),
    ],
)
def test_locate_finds_the_side_of_the_region(
    relation: str, mean: float, inside: bool, significant: bool
) -> None:
    margin = 0.1 if "=" in relation else 0.0
    found = locate(at(mean), region_of(relation, margin), None)
    assert (found[0], found[1] < 0.05) == (inside, significant)


def test_few_hits_prove_no_margin() -> None:
    """20 of 20 correct is compatible with 0.95: the exact one-sided binomial p is 0.36."""
    assert locate(at(0.0, error=0.0), region_of(">=", 0.05), 20)[1] > 0.05
    assert locate(at(0.0, error=0.0), region_of(">=", 0.05), 1000)[1] < 0.001


@pytest.mark.parametrize("relation", [">", "==", ">="])
def test_verdicts_err_in_at_most_5_percent(relation: str) -> None:
    """Tested at the bound of a region, where a wrong verdict is most likely."""
    region = region_of(relation, 0.0 if relation == ">" else 0.1)
    bound = next(b for b in region if np.isfinite(b))
    means = np.random.default_rng(0).normal(bound, 0.01, 4000)
    error_rate = np.mean([locate(at(float(m)), region, None)[1] <= 0.05 for m in means])
    assert error_rate < 0.06
