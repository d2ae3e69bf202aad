"""AdamW for stacked members, and the polynomial schedule."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

BETAS, EPSILON = (0.9, 0.999), 1e-8  # AdamW's defaults
POWER = 0.9  # of the schedule (Chen et al. 2017, DeepLab v2, section 3.1)


def polynomial(lr: float, step: int, num_steps: int) -> float:
    """Return the learning rate at a step, from ``lr`` at step 0 to 0 at ``num_steps``."""
    return float(lr * (1 - step / num_steps) ** POWER)


@torch.no_grad()
def adamw_step(
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor],
    means: Sequence[Tensor],
    squares: Sequence[Tensor],
    *,
    lrs: Sequence[float],
    decays: Sequence[float],
    steps: Sequence[int],
) -> None:
    """Run one step of AdamW in place (Loshchilov and Hutter 2019, alg. 2).

    The first axis of every tensor is that of the members, each with its own learning rate, weight
    decay and number of the step, which starts at 1.
    """
    for weight, gradient, mean, square in zip(weights, gradients, means, squares, strict=True):

        def column(values: Sequence[float], like: Tensor = weight) -> Tensor:
            return like.new_tensor(values).view(-1, *[1] * (like.ndim - 1))

        weight.mul_(1 - column([lr * decay for lr, decay in zip(lrs, decays, strict=True)]))
        mean.lerp_(gradient, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        first = column([1 - BETAS[0] ** step for step in steps])
        second = column([1 - BETAS[1] ** step for step in steps])
        weight.sub_(column(lrs) / first * mean / ((square / second).sqrt() + EPSILON))
