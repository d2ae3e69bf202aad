"""Simulate the coverage of intervals and the error rates of tests.

    python -m benchmarks.error_rates

This prints the five tables of ``docs/explanation/statistics.md`` (4000 repetitions: about 25
minutes on one core). ``tests/integration/test_error_rates.py`` runs the same simulations with fewer
repetitions.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from results.statistics import (
    average_of_differences,
    average_over_seeds,
    compare_with_best,
    difference,
    estimate,
    holm,
)

Array = np.ndarray[Any, Any]
SEEDS = (1, 2, 3, 5, 10)
ROWS = (2, 5, 10, 36)
#: Fractions of the variance of the mean that are due to units, seeds and their interaction.
SHARES = (
    (1.0, 0.0, 0.0),
    (0.5, 0.0, 0.5),
    (0.0, 0.0, 1.0),
    (0.6, 0.2, 0.2),
    (0.4, 0.4, 0.2),
    (0.2, 0.8, 0.0),
    (0.05, 0.95, 0.0),
)


def coverage(
    seeds: int, shares: tuple[float, float, float], repetitions: int, units: int = 300
) -> float:
    """Return how often the 95 % interval of ``estimate`` contains the true mean, 0."""
    rng = np.random.default_rng([seeds, *(int(100 * share) for share in shares)])
    of_units, of_seeds, of_both = shares
    covered = 0
    for _ in range(repetitions):
        scores = rng.normal(0, (of_units * units) ** 0.5, (units, 1))
        scores = scores + rng.normal(0, (of_seeds * seeds) ** 0.5, (1, seeds))
        scores += rng.normal(0, (of_both * units * seeds) ** 0.5, (units, seeds))
        found = estimate(scores)
        covered += found.low <= 0 <= found.high
    return covered / repetitions


def family_error(
    rows: int,
    seeds: int,
    seed_noise: float,
    repetitions: int,
    units: int = 200,
    noiseless: int = 0,
) -> float:
    """Return how often any of ``rows`` equally good rows of hits is called worse than the best.

    ``seed_noise`` is the standard deviation of a run's latent ability, relative to that of queries.
    With one seed there is no such noise, because nothing is claimed about other seeds. The first
    ``noiseless`` rows have none either.
    """
    rng = np.random.default_rng([rows, seeds, int(1000 * seed_noise)])
    noise = np.where(np.arange(rows) < noiseless, 0.0, seed_noise if seeds > 1 else 0.0)
    wrong = 0
    for _ in range(repetitions):
        ability = rng.normal(0, 1, (1, units, 1))
        runs = rng.normal(0, 1, (rows, 1, seeds)) * noise[:, None, None]
        hits = ability + runs + rng.normal(0, 0.5, (rows, units, seeds)) > 0
        wrong += any(compare_with_best(list(hits.astype(np.float64))).beaten)
    return wrong / repetitions


#: Fractions of the variance of a difference, as in ``SHARES``, for tests of many rows.
DIFFERENCES = ((0.3, 0.0, 0.7), (0.5, 0.0, 0.5), (0.3, 0.1, 0.6), (0.2, 0.8, 0.0))


def error_of_many(
    what: str,
    rows: int,
    seeds: int,
    shares: tuple[float, float, float],
    repetitions: int,
    *,
    shared_seeds: bool = False,
    units: int = 300,
) -> float:
    """Return how often any of ``rows`` differences is called significant, although all are 0.

    Args:
        what: ``compare`` for separate differences, ``marks`` for the rows of a table, or ``claims``
            that the first row of a table is better than each other row.
        rows: the number of rows.
        seeds: the number of seeds of each row.
        shares: the fractions of the variance of units, seeds and their interaction.
        repetitions: the number of simulated sweeps.
        shared_seeds: whether a seed has the same effect on all rows of a sweep.
        units: the number of queries.
    """
    rng = np.random.default_rng([rows, seeds, *(int(100 * share) for share in shares)])
    of_units, of_seeds, of_both = shares
    nothing, wrong = np.zeros((units, seeds)), 0
    for _ in range(repetitions):
        scores = rng.normal(0, (of_units * units) ** 0.5, (rows, units, 1))
        of_seed = rng.normal(0, (of_seeds * seeds) ** 0.5, (1 if shared_seeds else rows, 1, seeds))
        scores = (
            scores + of_seed + rng.normal(0, (of_both * units * seeds) ** 0.5, (rows, units, seeds))
        )
        if what == "marks":
            wrong += any(compare_with_best(list(scores)).beaten)
            continue
        if what == "compare":
            pairs = [(row, nothing) for row in scores]
            average = average_of_differences(pairs)
        else:
            pairs = [(scores[0], row) for row in scores[1:]]
            average = average_over_seeds(list(scores))
        found = [difference(*pair, average=average).p_value for pair in pairs]
        wrong += min(holm(found)) < 0.05
    return wrong / repetitions


def _print_many(repetitions: int) -> None:
    """Print the table of ``error_of_many``."""
    columns = [(what, rows) for what in ("compare", "marks", "claims") for rows in (1, 6, 20)]
    columns = [each for each in columns if each[0] == "compare" or each[1] > 1]
    columns = [*columns, ("shared", 6), ("shared", 20)]
    print("| queries / seeds / both | seeds |", *(f"{what}, {rows} |" for what, rows in columns))
    print("|---" * (len(columns) + 2) + "|")
    for shares in DIFFERENCES:
        for seeds in (2, 3, 5):
            cells = []
            for what, rows in columns:
                if what == "shared" and not shares[1]:
                    cells.append("-")
                    continue
                kind = "compare" if what == "shared" else what
                error = error_of_many(
                    kind, rows, seeds, shares, repetitions, shared_seeds=what == "shared"
                )
                cells.append(f"{100 * error:.1f}")
            name = " / ".join(f"{share:g}" for share in shares)
            print(f"| {name} | {seeds} |", *(f"{c} |" for c in cells), flush=True)


def main() -> None:
    """Run the simulations and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=4000, help="simulated sweeps per cell")
    repetitions: int = parser.parse_args().repetitions
    for units in (300, 60):
        print(f"{units} queries\n| queries / seeds / both |", *(f"{seeds} |" for seeds in SEEDS))
        print("|---" * (len(SEEDS) + 1) + "|")
        for shares in SHARES:
            cells = [
                f"{100 * coverage(seeds, shares, repetitions, units):.1f}"
                if seeds > 1 or not shares[1]
                else "-"
                for seeds in SEEDS
            ]
            print(f"| {' / '.join(f'{share:g}' for share in shares)} |", *(f"{c} |" for c in cells))
        print(flush=True)
    print("| rows, half of them without noise | 2 seeds | 3 | 5 |\n|---|---|---|---|")
    for rows in ROWS[1:]:
        cells = [
            f"{100 * family_error(rows, s, 0.3, repetitions // 4, noiseless=rows // 2):.1f}"
            for s in (2, 3, 5)
        ]
        print(f"| {rows} |", *(f"{cell} |" for cell in cells), flush=True)
    print()
    print("| rows |", *(f"{s} seed{'s' * (s > 1)}, {n} |" for s, n in NOISES))
    print("|---" * (len(NOISES) + 1) + "|")
    for rows in ROWS:
        cells = [f"{100 * family_error(rows, s, n, repetitions):.1f}" for s, n in NOISES]
        print(f"| {rows} |", *(f"{cell} |" for cell in cells), flush=True)
    print()
    _print_many(repetitions // 4)


#: Seeds and seed noise of the columns of the fourth table.
NOISES = ((1, 0.0), (2, 0.1), (3, 0.0), (3, 0.1), (5, 0.0), (5, 0.1))

if __name__ == "__main__":
    main()
