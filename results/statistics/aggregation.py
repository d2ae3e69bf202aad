"""How per-unit values form a metric: their mean, or a formula over their sums.

A first version that knows ``mean`` and the formula of corpus BLEU; more follows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tasks.contract import StoreError

Array = np.ndarray[Any, Any]

MEAN = "mean"
#: Corpus BLEU-4 in 0..100: matches and totals of orders 1 to 4, lengths of caption and reference.
BLEU4 = "bleu4"


def aggregation(formula: str) -> Callable[[Array], Array]:
    """The function of sums [..., K] that ``formula`` describes.

    Raises:
        StoreError: if it describes none.
    """
    if formula != BLEU4:
        raise StoreError(f"the aggregate {formula!r} is unknown")
    return _bleu4


def _bleu4(sums: Array) -> Array:
    """Corpus BLEU-4 in 0..100 of summed statistics [..., 10], without smoothing."""
    matches, totals = sums[..., :4], sums[..., 4:8]
    said, meant = sums[..., 8], sums[..., 9]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.log(matches / totals).mean(-1)
        brevity = np.minimum(0.0, 1 - meant / said)
        found = 100 * np.exp(precision + brevity)
    return np.where((matches > 0).all(-1), found, 0.0)
