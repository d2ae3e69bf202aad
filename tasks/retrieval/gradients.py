"""The gradients of a contrastive loss over a batch, whose encoders may see a part at a time.

K stacked trials, B batch, P the width of the shared space
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

Chunk = TypeVar("Chunk")
#: Turns a part of a batch into unit vectors [*K, B, P] of images and of captions, and what else
#: the loss takes.
Embed = Callable[[Chunk], tuple[Any, ...]]
#: The losses [*K] of what ``Embed`` returns for a whole batch.
Loss = Callable[..., Tensor]
Gradients = list[Tensor | None]


def whole_gradients(
    embed: Embed[Chunk], chunks: Sequence[Chunk], weights: Sequence[Tensor], loss_of: Loss
) -> tuple[Tensor, Gradients]:
    """Return the losses of a batch, which is one chunk, and the gradients of the weights."""
    (chunk,) = chunks
    loss = loss_of(*embed(chunk))
    return loss.detach(), list(torch.autograd.grad(loss.sum(), weights, allow_unused=True))


def cached_gradients(
    embed: Embed[Chunk], chunks: Sequence[Chunk], weights: Sequence[Tensor], loss_of: Loss
) -> tuple[Tensor, Gradients]:
    """Return the same as ``whole_gradients`` with the activations of one chunk in memory at a time.

    The loss needs the vectors of the whole batch. They are computed without activations first, and
    their gradients are kept. Each chunk is then computed again and passes its share of them on
    (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size", section 3).
    """
    with torch.no_grad():
        vectors = [embed(chunk) for chunk in chunks]
    images, texts = (torch.cat(s, dim=-2).requires_grad_() for s in zip(*vectors, strict=True))
    loss = loss_of(images, texts)
    # Weights in the loss itself, such as the temperature, have their gradient already.
    grads = torch.autograd.grad(loss.sum(), [images, texts, *weights], allow_unused=True)
    gradients: Gradients = list(grads[2:])
    sizes = [each.shape[-2] for each, _ in vectors]
    parts = zip(*(torch.split(grad, sizes, dim=-2) for grad in grads[:2]), strict=True)
    for chunk, part in zip(chunks, parts, strict=True):
        found = torch.autograd.grad(embed(chunk), weights, part, allow_unused=True)
        for index, gradient in enumerate(found):
            if gradient is not None:
                known = gradients[index]
                # Not in place: autograd may return one tensor as the gradient of two weights.
                gradients[index] = gradient if known is None else known + gradient
    return loss.detach(), gradients
