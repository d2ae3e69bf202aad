"""Train the encoders of one trial for an epoch, in full or by adapters, with the heads.

B batch, P the width of the shared space
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from tasks.interrupt import check_interrupt
from tasks.progress import report_progress
from tasks.retrieval.network import NetworkSplit

#: The loss of a batch, from unit vectors [B, P] of images and of captions, and the indices [B] of
#: the images. It can also depend on the weights.
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
#: Updates the weights in place, from their gradients and the number of the step in the epoch.
Update = Callable[[list[Tensor | None], int], None]


def train_epoch(
    split: NetworkSplit,
    pairs: Tensor,
    weights: Mapping[str, Tensor],
    constants: Mapping[str, Tensor],
    loss_of: Loss,
    update: Update,
) -> Tensor:
    """Train for one epoch and return the loss of each step.

    Args:
        split: the training split, whose encoders share ``weights``.
        pairs: the indices of images and captions, [steps, 2, B].
        weights: the trained weights, with ``requires_grad``.
        constants: the constants of the heads.
        loss_of: the loss of a batch.
        update: updates the weights in place.
    """
    losses = []
    for number, (images, texts) in enumerate(pairs):
        check_interrupt()
        report_progress(number, len(pairs))
        own = {**weights, **constants}
        loss = loss_of(split.images(own, images), split.texts(own, texts), images)
        gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        losses.append(loss.detach())
        update(list(gradients), number)
    return torch.stack(losses)
