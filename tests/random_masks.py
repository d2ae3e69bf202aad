"""Masks for tests of segmentation metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from tasks.segmentation import metrics
from tasks.segmentation.masked import IGNORE


def masks(seed: int, *, number: int = 5, size: int = 12, classes: int = 4) -> Any:
    rng = np.random.default_rng(seed)
    # Coarse patches have boundaries; the last class is missing.
    truth = rng.integers(0, classes - 1, (number, size // 3, size // 3)).repeat(3, 1).repeat(3, 2)
    predicted = np.where(
        rng.random(truth.shape) < 0.7, truth, rng.integers(0, classes - 1, truth.shape)
    )
    truth[rng.random(truth.shape) < 0.1] = IGNORE
    return truth.astype(np.uint8), predicted.astype(np.uint8), classes


def count(truth: Tensor, predicted: Tensor, classes: int) -> metrics.Counts:
    return metrics.Counts.of(metrics.count_pixels(truth, predicted, classes))
