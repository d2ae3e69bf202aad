"""Differences between configurations, each alone and with a controlled family-wise error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from results.statistics.aggregation import MEAN
from results.statistics.estimates import Estimate, interval, parts, variance

Array = np.ndarray[Any, Any]
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """One configuration's score minus another's."""

    estimate: Estimate  # with its unadjusted 95 % interval
    p_value: float  # two-sided, unadjusted, of no difference
    test: str  # "McNemar", "permutation", "t over queries and seeds", "bootstrap", ...
    df: float  # degrees of freedom of the interval
    standard_error: float
    over_seeds: bool  # whether the statement covers other seeds, or these seeds alone


def difference(
    one: Array,
    other: Array,
    *,
    same_units: bool = True,
    same_seeds: bool = True,
    aggregate: str = MEAN,
) -> Difference:
    """``one``'s score minus ``other``'s: interval and test.

    Args:
        one: [U, S] of units and seeds, or [U, S, K] where ``aggregate`` is a formula.
        other: the same of another configuration.
        same_units: whether row u of both is the same unit, so that units are paired.
        same_seeds: whether column s of both is the same seed, so that seeds are paired.
        aggregate: ``mean``, or a formula over sums of K values.
    """
    one_units, one_share, one_seeds = parts(one, aggregate)
    other_units, other_share, other_seeds = parts(other, aggregate)
    if same_units:
        over_units = one_share * variance(one_units - other_units)
    else:
        over_units = one_share * variance(one_units) + other_share * variance(other_units)
    if same_seeds:
        over_seeds = variance(one_seeds - other_seeds) / len(one_seeds)
    else:
        over_seeds = variance(one_seeds) / len(one_seeds) + variance(other_seeds) / len(other_seeds)
    mean = float(one_seeds.mean() - other_seeds.mean())
    total = over_units + over_seeds
    df = float(min(len(one), len(other)) - 1)
    if over_seeds:
        df = total**2 / (over_units**2 / df + over_seeds**2 / (len(one_seeds) - 1))
    error = math.sqrt(total)
    p_value = 1.0 if mean == 0 else float(2 * stats.t.sf(abs(mean) / error, df)) if error else 0.0
    return Difference(
        estimate=interval(mean, error, df),
        p_value=p_value,
        test="t over queries",
        df=df,
        standard_error=error,
        over_seeds=min(len(one_seeds), len(other_seeds)) > 1,
    )


@dataclass(frozen=True, slots=True)
class BestComparison:
    """The rows of a table against the best of them."""

    best: int  # index of the row with the best score
    p_values: tuple[float, ...]  # of each row against the best, adjusted for all pairs; 1 for best
    over_seeds: bool

    @property
    def beaten(self) -> tuple[bool, ...]:
        """Which rows the best beats; with probability 95 % no row that is as good is among them."""
        return tuple(p < ALPHA for p in self.p_values)


def compare_with_best(
    rows: Sequence[Array], *, maximize: bool = True, aggregate: str = MEAN
) -> BestComparison:
    """Test every row against the best one, with a family-wise error of 5 % over all rows.

    Args:
        rows: the scores of each row, over the same units and the same seeds.
        maximize: whether a larger score is better.
        aggregate: ``mean``, or a formula over sums of K values.
    """
    scores = [float(parts(row, aggregate)[2].mean()) for row in rows]
    best = int(np.argmax(scores) if maximize else np.argmin(scores))
    found = [difference(rows[best], row, aggregate=aggregate) for row in rows]
    pairs = len(rows) * (len(rows) - 1) / 2
    return BestComparison(
        best=best,
        p_values=tuple(min(1.0, pairs * each.p_value) for each in found),
        over_seeds=found[best].over_seeds,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the order given (Holm 1979): family-wise error over all."""
    order = np.argsort(p_values)
    adjusted, largest = [0.0] * len(order), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
