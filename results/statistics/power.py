"""How many seeds or units would decide a claim that a sweep leaves undecided."""

from __future__ import annotations

import math

POWER = 0.8  # the chance of a verdict if the true difference is the observed one
MAX_SEEDS = 100
MAX_GROWTH = 100  # times as many units


def what_decides(
    *,
    distance: float,
    variance: float,
    over_seeds: float,
    num_units: int | None,
    num_seeds: int,
    unit: str,
    alpha: float,
) -> str:
    """The number of seeds that suffices, else of units, in words.

    The squared standard error that gives 80 % power at level ``alpha`` follows from the observed
    distance to the claim's bound (normal approximation); ``over_seeds`` shrinks with the number of
    seeds and the rest with the number of units.

    Args:
        distance: from the observed difference to the claim's bound.
        variance: the squared standard error of the difference.
        over_seeds: its part that is the variance over seeds divided by their number.
        num_units: units now; None if the test is over seeds alone.
        num_seeds: seeds now.
        unit: the units' name in the plural.
        alpha: the level that the claim has to pass.
    """
    from scipy import special

    if distance == 0 or variance == 0:
        return "more data or seeds; a difference observed as 0 does not tell how many"
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
    # A claim that misses the level by the normal approximation alone still needs one more.
    needed = max(math.ceil(number), now + 1)
    return f"more than {MAX_SEEDS} seeds" if needed > MAX_SEEDS else f"about {needed} seeds"


def _units(number: float, now: int, unit: str) -> str:
    needed = max(number, 1.05 * now)
    if needed > MAX_GROWTH * now:
        return f"more than {MAX_GROWTH * now:,} {unit}"
    digits = math.floor(math.log10(needed)) - 1  # two significant digits
    step = 10 ** max(digits, 0)
    return f"about {math.ceil(needed / step) * step:,} {unit}"
