"""AdamW for the members of a stack, and the lower bound of a learnable temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tasks import adamw

UNDECAYED = ("log_temperature", "logit_bias")  # decay would pull them towards 0
MIN_TEMPERATURE = 0.01  # CLIP clamps the logit scale at 100 (Radford et al. 2021, 2.5)


@torch.no_grad()
def clamp_temperature(weights: dict[str, Tensor]) -> None:
    """Clamp a learnable temperature after a step. A clamp in the loss would zero its gradient."""
    if "log_temperature" in weights:
        weights["log_temperature"].clamp_(min=math.log(MIN_TEMPERATURE))


def adamw_step(
    indices: Sequence[int],
    weights: dict[str, Tensor],
    gradients: Sequence[Tensor | None],
    moments: tuple[dict[str, Tensor], dict[str, Tensor]],
    lr: float,
    weight_decay: float,
    step: int,
) -> None:
    """Run one step of AdamW in place; ``step`` starts at 1.

    It updates the members of a stack at ``indices``, which have the same learning rate and weight
    decay. Weights without a gradient, such as those of an unused pooler, do not change. The log
    temperature and the bias of the loss do not decay.
    """
    used = {n: g for n, g in zip(weights, gradients, strict=True) if g is not None}
    undecayed = {n: g for n, g in used.items() if n in UNDECAYED}
    decayed = {n: g for n, g in used.items() if n not in undecayed}
    for group, decay in ((decayed, weight_decay), (undecayed, 0.0)):
        if not group:
            continue
        values, means, squares, grads = (
            [part[name][index] for name in group for index in indices]
            for part in (weights, *moments, group)
        )
        adamw.adamw_step(values, grads, means, squares, lr=lr, weight_decay=decay, step=step)
