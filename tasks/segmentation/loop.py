"""The batches and learning rates of an epoch, of stacked heads and of full networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks import schedules
from tasks.contract import Trial, TrialError
from tasks.segmentation.params import Params

POWER = 0.9  # of the schedule of learning rates (Chen et al. 2017, DeepLab v2, section 3.1)


def draw_batches(number: int, trial: Trial, epoch: int) -> np.ndarray[Any, Any]:
    """Return the images of each step of an epoch, [steps, B], drawn by seed and epoch.

    Raises:
        TrialError: if there are fewer images than a batch has.
    """
    size = trial.params.batch_size
    if number < size:
        raise TrialError(f"`batch_size <= training images` must hold, but got {size} > {number}")
    order = np.random.default_rng([trial.seed, epoch]).permutation(number)
    return order[: number // size * size].reshape(-1, size)


def learning_rate(params: Params, step: int, num_steps: int) -> float:
    """Return the learning rate of a step, which starts at 0."""
    return schedules.learning_rate(params.lr, params.warmup_ratio, step, num_steps, POWER)
