"""Random per-sample scores."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def hits(rng: np.random.Generator, share: float, *shape: int) -> Array:
    return (rng.random(shape) < share).astype(float)


def bleu_values(rng: np.random.Generator, units: int, seeds: int) -> Array:
    totals = np.tile([12, 11, 10, 9], (units, seeds, 1))
    matches = rng.binomial(totals, [0.8, 0.6, 0.4, 0.3])
    return np.concatenate([matches, totals, np.full((units, seeds, 2), 12)], axis=2)
