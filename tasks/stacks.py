"""Parts of a training loop that tasks with stacked members share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from torch import Tensor

from tasks.contract import Member, TrialError
from tasks.memory import release_memory

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


def train_stack(
    stack: Sequence[Member], train: Callable[[Sequence[Member]], Sequence[Result]]
) -> Sequence[Result | Exception]:
    """Train a stack; if that fails, train each member separately, so that only some fail.

    The failure is logged, because it costs time even if no member fails alone.
    """
    try:
        return train(stack)
    except Exception as error:
        if len(stack) == 1:
            return [error]
        logger.warning("training %d trials together failed; each is trained alone", len(stack))
        logger.debug("the failure", exc_info=error)
    release_memory()  # outside of ``except``, whose traceback keeps the stack's memory alive
    return [train_stack([member], train)[0] for member in stack]


def check_losses(losses: Tensor, epoch: int) -> TrialError | None:
    """Return an error if a loss of an epoch, [steps], is not finite."""
    if bool(losses.isfinite().all()):
        return None
    first = int((~losses.isfinite()).nonzero()[0])
    return TrialError(f"the loss is not finite at epoch {epoch}, step {first}; lower lr")
