"""AdamW over members of a stack, and the bound of a learnable temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adamw import adamw

BETAS, EPSILON = (0.9, 0.999), 1e-8  # AdamW's defaults, as in the protocol
MIN_TEMPERATURE = 0.01  # CLIP clamps the logit scale at 100 (Radford et al. 2021, 2.5)


@torch.no_grad()
def clamp_temperature(weights: dict[str, Tensor]) -> None:
    """Clamp a learnable temperature itself: a clamp in the loss would take its gradient away."""
    if "log_temperature" in weights:
        weights["log_temperature"].clamp_(min=math.log(MIN_TEMPERATURE))


@torch.no_grad()
def adamw_step(
    places: Sequence[int],
    weights: dict[str, Tensor],
    gradients: Sequence[Tensor | None],
    moments: tuple[dict[str, Tensor], dict[str, Tensor]],
    lr: float,
    weight_decay: float,
    step: int,
) -> None:
    """One step of AdamW in place (Loshchilov and Hutter 2019, alg. 2); ``step`` counts from 1.

    It updates the members of a stack at ``places``, which share the learning rate and the decay. A
    weight without a gradient (a pooler that nothing reads) stays as it is, and a log temperature
    does not decay, because decay pulls to 0.
    """
    used = {n: g for n, g in zip(weights, gradients, strict=True) if g is not None}
    undecayed = {n: g for n, g in used.items() if n == "log_temperature"}
    decayed = {n: g for n, g in used.items() if n not in undecayed}
    for group, decay in ((decayed, weight_decay), (undecayed, 0.0)):
        if not group:
            continue
        values, means, squares, slopes = (
            [part[name][place] for name in group for place in places]
            for part in (weights, *moments, group)
        )
        # AdamW adds 1 to the count of each weight, in place. On the weights' device: no copy.
        counts = torch.full((len(values),), step - 1.0, device=values[0].device).unbind()
        adamw(
            values,
            [slope.contiguous() for slope in slopes],  # it reads memory in order
            means,
            squares,
            [],
            list(counts),
            fused=True,  # one kernel, which reads and writes each number once
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=lr,
            weight_decay=decay,
            eps=EPSILON,
            maximize=False,
        )
