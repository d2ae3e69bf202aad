"""Estimate how many seeds or units would decide an undecided claim."""

from __future__ import annotations

import math

POWER = 0.8  # the probability of a verdict if the true difference is as observed
MAX_SEEDS = 100
MAX_GROWTH = 100  # factor of the number of units


def describe_needed_data(
    *,
    distance: float,
    variance: float,
    over_seeds: float,
    num_units: int | None,
    num_seeds: int,
    unit: str,
    alpha: float,
) -> str:
    """Describe the data that would decide a claim, such as ``about 8 seeds``.

    The observed distance to the claim's bound determines the squared standard error for 80 % power
    at level ``alpha`` (normal approximation). The variance over seeds decreases with the number of
    seeds, and the rest of the variance with the number of units.

    Args:
        distance: the distance from the observed difference to the claim's bound.
        variance: the squared standard error of the difference.
        over_seeds: the part of ``variance`` that is due to seeds.
        num_units: the current number of units; None if the test is only over seeds.
        num_seeds: the current number of seeds.
        unit: the name of the units, in the plural.
        alpha: the significance level of the claim.
    """
    from scipy import special

    if distance == 0 or variance == 0:
        return "more data or seeds, but an observed difference of 0 does not show how many"
    quantiles = float(special.ndtri(1 - alpha / 2) + special.ndtri(POWER))
    wanted = (distance / quantiles) ** 2
    over_seeds = min(over_seeds, variance)
    over_units = variance - over_seeds
    if num_units is None:
        return _seeds(num_seeds * variance / wanted, num_seeds)
    if num_seeds == 1:
        return _units(num_units * variance / wanted, num_units, unit)
    if wanted > over_units:
        return _seeds(num_seeds * over_seeds / (wanted - over_units), num_seeds)
    if wanted > over_seeds:
        return _units(num_units * over_units / (wanted - over_seeds), num_units, unit)
    return f"more seeds together with more {unit}"


def _seeds(number: float, now: int) -> str:
    # The normal approximation may find the current number sufficient, although the test did not.
    needed = max(math.ceil(number), now + 1)
    return f"more than {MAX_SEEDS} seeds" if needed > MAX_SEEDS else f"about {needed} seeds"


def _units(number: float, now: int, unit: str) -> str:
    needed = max(number, 1.05 * now)
    if needed > MAX_GROWTH * now:
        return f"more than {MAX_GROWTH * now:,} {unit}"
    digits = math.floor(math.log10(needed)) - 1  # two significant digits
    step = 10 ** max(digits, 0)
    return f"about {math.ceil(needed / step) * step:,} {unit}"
