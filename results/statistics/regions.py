"""Test whether a difference is inside the region that a claim states."""

from __future__ import annotations

import math
from math import nan
from typing import Any

from results.statistics import Difference, Estimate


def t_over_seeds(values: Any) -> tuple[Difference, None, bool] | None:
    """Apply a t test over seeds to differences [S]; return None for a single seed."""
    if len(values) < 2:
        return None
    from scipy import special

    df = len(values) - 1
    mean, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
    half = error * float(special.stdtrit(df, 0.975))
    p_value = _tail(mean, error, df)
    # Equal seeds do not prove that the variance is zero.
    found = Estimate(mean, mean - half, mean + half) if error else Estimate(mean, nan, nan)
    test = Difference(found, p_value, "t over seeds", float(df), error, True, error**2)
    return test, None, False


def shift_difference(test: Difference, number: float, sign: float) -> Difference:
    """Return the difference of a row and a number: row minus number if ``sign`` is 1, else minus 1.

    ``test`` is the difference of the row and 0.
    """
    bounds = [sign * (bound - number) for bound in (test.estimate.low, test.estimate.high)]
    mean = sign * (test.estimate.mean - number)
    return Difference(
        estimate=Estimate(mean, min(bounds), max(bounds)),
        p_value=_tail(mean, test.standard_error, test.df),
        test="t",
        df=test.df,
        standard_error=test.standard_error,
        over_seeds=test.over_seeds,
        seeds_variance=test.seeds_variance,
    )


def region_of(relation: str, margin: float) -> tuple[float, float]:
    """Return the region (low, high) in which a claim states that the difference is."""
    return {
        ">": (0.0, math.inf),
        "<": (-math.inf, 0.0),
        ">=": (-margin, math.inf),
        "<=": (-math.inf, margin),
        "==": (-margin, margin),
    }[relation]


def locate(
    test: Difference, region: tuple[float, float], num_hits: int | None
) -> tuple[bool, float, float]:
    """Return whether a difference is inside a region, the p value, and the distance to the bound.

    To be inside a region with two bounds, the test must exclude both (two one-sided tests,
    Schuirmann 1987). ``num_hits`` is the number of units if scores are hits and misses. Without a
    discordant pair their variance is 0, and a few units would prove any claim with a margin;
    therefore the variance is at least that of one discordant pair in each direction.
    """
    mean = test.estimate.mean
    inside = region[0] < mean < region[1]
    bounds = [bound for bound in region if math.isfinite(bound)]

    def p_at(bound: float) -> float:
        if bound == 0:
            return test.p_value
        floor = math.sqrt(2) / num_hits if num_hits else 0.0
        return _tail(mean - bound, max(test.standard_error, floor), test.df)

    nearest = min(bounds, key=lambda bound: abs(mean - bound))
    p_value = max(map(p_at, bounds)) if inside else p_at(nearest)
    return inside, p_value, abs(mean - nearest)


def _tail(distance: float, error: float, df: float) -> float:
    """Return the two-sided p value of a t statistic; 1 for a distance of 0."""
    from scipy import special

    if math.isnan(df):
        return math.nan
    if distance == 0:
        return 1.0
    return float(2 * special.stdtr(df, -abs(distance) / error)) if error else 0.0
