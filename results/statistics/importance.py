"""How much of a metric's variance each parameter explains by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

MAX_LEVELS = 8  # values of a number; more are put into as many groups of neighbors


def explained_variance(values: Sequence[Any], metric: Sequence[float]) -> float:
    """Return the share of a metric's variance that one parameter explains.

    This is epsilon squared of a one-way analysis of variance (Kelley, 1935), which, unlike the
    plain share, is about 0 for a parameter without effect, however many levels it has. Effects
    that a parameter has only together with another one are not counted.

    Args:
        values: the parameter of each trial [N]; numbers with more than ``MAX_LEVELS`` values are
            grouped by the rank of the value, so that groups have about as many different values,
            but not as many trials.
        metric: the metric of each trial [N], finite.

    Returns:
        0..1, or NaN where it cannot be computed: fewer than two levels, as many levels as trials,
        or a metric that is the same everywhere.
    """
    levels = _levels(values)
    scores = np.asarray(metric, dtype=np.float64)
    number, num_levels = len(scores), len(set(levels.tolist()))
    if num_levels < 2 or number <= num_levels:
        return math.nan
    total = float(((scores - scores.mean()) ** 2).sum())
    if total <= 1e-24 * max(1.0, float(np.abs(scores).max()) ** 2):
        return math.nan
    within = sum(
        float(((scores[levels == level] - scores[levels == level].mean()) ** 2).sum())
        for level in np.unique(levels)
    )
    share = 1 - (within / (number - num_levels)) / (total / (number - 1))
    return min(1.0, max(0.0, share))


def _levels(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Return the number of each value's level [N]."""
    texts = sorted({repr(value) for value in values})
    numbers = [isinstance(value, (int, float)) for value in values]
    if len(texts) <= MAX_LEVELS or not all(numbers):
        return np.array([texts.index(repr(value)) for value in values])
    distinct = sorted(set(values))
    ranks = {value: rank for rank, value in enumerate(distinct)}
    return np.array([ranks[value] * MAX_LEVELS // len(distinct) for value in values])
