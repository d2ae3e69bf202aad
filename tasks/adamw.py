"""One step of AdamW on lists of tensors, for tasks whose state holds the moments."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adamw import adamw

BETAS, EPSILON = (0.9, 0.999), 1e-8  # AdamW's defaults


@torch.no_grad()
def adamw_step(
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor],
    means: Sequence[Tensor],
    squares: Sequence[Tensor],
    *,
    lr: float,
    weight_decay: float,
    step: int,
) -> None:
    """Run one step of AdamW in place (Loshchilov and Hutter 2019, alg. 2).

    Args:
        weights: the tensors to train; at least one.
        gradients: their gradients.
        means: their first moments.
        squares: their second moments.
        lr: the learning rate.
        weight_decay: the decoupled weight decay.
        step: the number of the step, from 1.
    """
    # AdamW increments these counts in place. They are on the weights' device to avoid copies.
    counts = torch.full((len(weights),), step - 1.0, device=weights[0].device).unbind()
    adamw(
        list(weights),
        [gradient.contiguous() for gradient in gradients],  # contiguous memory is faster to read
        list(means),
        list(squares),
        [],
        list(counts),
        fused=True,  # one kernel that reads and writes each number once
        amsgrad=False,
        beta1=BETAS[0],
        beta2=BETAS[1],
        lr=lr,
        weight_decay=weight_decay,
        eps=EPSILON,
        maximize=False,
    )
