"""Parts of a training loop that stacked heads and full networks share."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from tasks.contract import Trial, TrialError


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


def check_losses(losses: Tensor, epoch: int) -> TrialError | None:
    """Return an error if a loss of the epoch is not finite."""
    if bool(losses.isfinite().all()):
        return None
    first = int((~losses.isfinite()).nonzero()[0])
    return TrialError(f"the loss is not finite at epoch {epoch}, step {first}; lower lr")
