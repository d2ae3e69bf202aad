"""The losses of a batch of pairs.

K members of a stack, B batch, P the width of the shared space
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def contrastive_loss(
    image: Float[Tensor, "*K B P"],
    text: Float[Tensor, "*K B P"],
    temperature: Tensor | float,
    same: Bool[Tensor, "*K B B"] | None = None,
) -> Float[Tensor, "*K"]:
    """Return the symmetric cross-entropy over the batch (Radford et al. 2021, fig. 3).

    ``temperature`` is a number or [K, 1, 1]. ``same`` marks pairs of the same image, if the batch
    can contain an image twice. All captions of an image are then right answers with equal shares,
    as in BLIP, whose ``idx`` marks them (Li et al. 2022).
    """
    logits = image @ text.mT / temperature
    both = logits.log_softmax(-1) + logits.log_softmax(-2)
    if same is None:
        return -both.diagonal(dim1=-2, dim2=-1).mean(-1) / 2
    shares = same / same.sum(-1, keepdim=True)
    return -(shares * both).sum(-1).mean(-1) / 2


def sigmoid_loss(
    image: Float[Tensor, "*K B P"],
    text: Float[Tensor, "*K B P"],
    temperature: Tensor | float,
    bias: Tensor | float,
    same: Bool[Tensor, "*K B B"] | None = None,
) -> Float[Tensor, "*K"]:
    """Return the mean over images of the summed sigmoid losses (Zhai et al. 2023, alg. 1).

    ``temperature`` and ``bias`` are numbers or [K, 1, 1]. All pairs that ``same`` marks are
    positive; without it, only those on the diagonal.
    """
    logits = image @ text.mT / temperature + bias
    if same is None:
        same = torch.eye(logits.shape[-1], dtype=torch.bool, device=logits.device)
    return -F.logsigmoid(torch.where(same, logits, -logits)).sum(-1).mean(-1)
