"""Coverage of intervals and error rates of tests, over simulated sweeps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from benchmarks.error_rates import (
    DIFFERENCES,
    SEEDS,
    SHARES,
    coverage,
    error_of_many,
    family_error,
)
from results.statistics import compare_with_best, difference, holm

REPETITIONS = 700


@pytest.mark.parametrize("seeds", SEEDS)
def test_simulated_coverage(seeds: int) -> None:
    found = [
        coverage(seeds, shares, REPETITIONS) for shares in SHARES if seeds > 1 or not shares[1]
    ]
    error = (0.95 * 0.05 / REPETITIONS) ** 0.5
    assert all(0.94 - 3 * error <= each <= 0.96 + 3 * error for each in found), found
    error /= len(found) ** 0.5
    assert 0.94 - 2 * error <= np.mean(found) <= 0.96 + 2 * error, found


def test_simulation_detects_wrong_intervals() -> None:
    """Earlier intervals covered 85.5 % with two different seeds, and 97 % with equal ones."""
    rng, covered = np.random.default_rng(3), []
    for of_seeds, of_both in ((1.0, 0.0), (0.0, 1.0)):
        scores = rng.normal(0, (2 * of_seeds) ** 0.5, (2000, 1, 2))
        scores = scores + rng.normal(0, (2 * 50 * of_both) ** 0.5, (2000, 50, 2))
        variance = scores.mean(2).var(1, ddof=1) / 50 + scores.mean(1).var(1, ddof=1) / 2
        covered.append(np.mean(np.abs(scores.mean((1, 2))) <= 1.96 * np.sqrt(variance)))
    assert covered[0] < 0.88
    assert covered[1] > 0.955


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_one_seed_against_several_errs_in_5_percent(seeds: int) -> None:
    rng, num_errors, number = np.random.default_rng(9), 0, 1000
    for _ in range(number):
        units = rng.normal(0, 0.2, (60, 1))
        one, other = (
            units + rng.normal(0, 0.05, (1, count)) + rng.normal(0, 0.1, (60, count))
            for count in (1, seeds)
        )
        num_errors += difference(one, other, same_seeds=False).p_value < 0.05
    assert num_errors <= stats.binom.ppf(0.999, number, 0.06)


@pytest.mark.parametrize(
    ("same_units", "same_seeds"), [*itertools.product([True, False], repeat=2)]
)
def test_test_of_equal_rows_errs_in_5_percent(same_units: bool, same_seeds: bool) -> None:
    rng, num_errors, number = np.random.default_rng(8), 0, 1000
    for _ in range(number):
        units, runs = rng.normal(0, 0.2, (2, 60, 1)), rng.normal(0, 0.02, (2, 1, 3))
        units[1] = units[0] if same_units else units[1]
        runs[1] = runs[0] if same_seeds else runs[1]
        one, other = 0.5 + units + runs + rng.normal(0, 0.2, (2, 60, 3))
        num_errors += (
            difference(one, other, same_units=same_units, same_seeds=same_seeds).p_value < 0.05
        )
    assert (
        stats.binom.ppf(0.001, number, 0.03) <= num_errors <= stats.binom.ppf(0.999, number, 0.06)
    )


@pytest.mark.parametrize("seeds", [1, 3, 5])
@pytest.mark.parametrize(("rows", "repetitions"), [(2, 600), (5, 500), (10, 250), (36, 80)])
def test_equal_rows_are_marked_worse_in_at_most_5_percent_of_tables(
    rows: int, repetitions: int, seeds: int
) -> None:
    error = family_error(rows, seeds, 0.1, repetitions)
    assert error * repetitions <= stats.binom.ppf(0.999, repetitions, 0.05), error


@pytest.mark.parametrize("seeds", [1, 3])
def test_worse_row_is_found_among_36(seeds: int) -> None:
    rng = np.random.default_rng(10)
    ability = rng.normal(0, 1, (1, 1449, 1))
    shift = np.zeros((36, 1, 1))
    shift[7] = -0.5
    scores = ability + shift + rng.normal(0, 0.5, (36, 1449, seeds)) > 0
    found = compare_with_best(list(scores.astype(float)))
    assert found.beaten == tuple(row == 7 for row in range(36))
    assert found.over_seeds == (seeds > 1)
    worst = compare_with_best(list(scores.astype(float)), maximize=False)
    assert worst.best == 7
    assert sum(worst.beaten) == 35


@pytest.mark.parametrize("what", ["compare", "marks", "claims"])
@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize("rows", [6, 20])
def test_many_tests_without_a_difference_err_in_5_percent(rows: int, seeds: int, what: str) -> None:
    number = 1200 // rows
    num_errors = sum(
        error_of_many(what, rows, seeds, shares, number) * number for shares in DIFFERENCES
    )
    number *= len(DIFFERENCES)
    assert num_errors <= stats.binom.ppf(0.999, number, 0.05), num_errors / number


def test_simulation_detects_separate_seed_variances() -> None:
    """With separate variances, some of many pairs of seeds agree by chance."""
    rng, num_errors, number = np.random.default_rng(1), 0, 100
    nothing = np.zeros((300, 2))
    for _ in range(number):
        scores = rng.normal(0, 0.3**0.5, (20, 300, 1)) + rng.normal(0, 1.4**0.5, (20, 300, 2))
        num_errors += min(holm([difference(row, nothing).p_value for row in scores])) < 0.05
    assert num_errors > stats.binom.ppf(0.95, number, 0.05)
