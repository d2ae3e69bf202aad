"""AdamW over one member of a stack, and the bound of a learnable temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

BETAS, EPSILON = (0.9, 0.999), 1e-8  # AdamW's defaults, as in the protocol
MIN_TEMPERATURE = 0.01  # CLIP clamps the logit scale at 100 (Radford et al. 2021, 2.5)


@torch.no_grad()
def clamp_temperature(weights: dict[str, Tensor]) -> None:
    """Clamp a learnable temperature itself: a clamp in the loss would take its gradient away."""
    if "log_temperature" in weights:
        weights["log_temperature"].clamp_(min=math.log(MIN_TEMPERATURE))


@torch.no_grad()
def adamw_step(
    place: int,
    weights: dict[str, Tensor],
    gradients: Sequence[Tensor | None],
    moments: tuple[dict[str, Tensor], dict[str, Tensor]],
    lr: float,
    weight_decay: float,
    step: int,
) -> None:
    """One step of AdamW in place (Loshchilov and Hutter 2019, alg. 2); ``step`` counts from 1.

    Of the member at ``place`` in a stack. A weight without a gradient (a pooler that nothing reads)
    stays as it is, and decay, which pulls to 0, is not for a log temperature.
    """
    used = {n: g[place] for n, g in zip(weights, gradients, strict=True) if g is not None}
    undecayed = {n: g for n, g in used.items() if n == "log_temperature"}
    decayed = {n: g for n, g in used.items() if n not in undecayed}
    for group, decay in ((decayed, weight_decay), (undecayed, 0.0)):
        if group:
            _fused_adamw(place, weights, group, moments, lr, decay, step)


def _fused_adamw(
    place: int,
    weights: dict[str, Tensor],
    gradients: dict[str, Tensor],
    moments: tuple[dict[str, Tensor], dict[str, Tensor]],
    lr: float,
    weight_decay: float,
    step: int,
) -> None:
    """Torch's fused kernel, which reads and writes each number once.

    It is private. ``torch.optim.adamw.adamw(fused=True)`` is the same kernel, but took 64 us a
    call instead of 36 us (torch 2.13, two linear heads), for each member and step.
    """
    values, means, squares = (
        [part[name][place] for name in gradients] for part in (weights, *moments)
    )
    count = torch.tensor(float(step), device=values[0].device)
    torch._fused_adamw_(
        values,
        [gradient.contiguous() for gradient in gradients.values()],  # it reads memory in order
        means,
        squares,
        [],
        [count] * len(values),
        lr=lr,
        beta1=BETAS[0],
        beta2=BETAS[1],
        weight_decay=weight_decay,
        eps=EPSILON,
        amsgrad=False,
        maximize=False,
    )
