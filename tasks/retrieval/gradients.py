"""The gradients of a contrastive loss over a batch, whose encoders may see a part at a time.

With several ranks, each embeds its share of the batch. The vectors of all ranks are gathered, so
the loss is that of the whole batch, and the gradients are added up.

Stacked trials and what else a loss takes are for one rank.

K stacked trials, B batch, P the width of the shared space
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from tasks import process_group

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
    """Return the losses of a batch, and the gradients of the weights.

    Each rank has one chunk, its share of the batch.
    """
    (chunk,) = chunks
    vectors = embed(chunk)
    if process_group.current().size == 1:
        loss = loss_of(*vectors)
        return loss.detach(), list(torch.autograd.grad(loss.sum(), weights, allow_unused=True))
    loss, gradients, grads = _pass_loss(vectors, weights, loss_of)
    found = torch.autograd.grad(vectors, weights, grads, allow_unused=True)
    return loss, _add(gradients, _over_ranks(found))


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
    images, texts = (torch.cat(side, dim=-2) for side in zip(*vectors, strict=True))
    loss, gradients, grads = _pass_loss((images, texts), weights, loss_of)
    sizes = [each.shape[-2] for each, _ in vectors]
    parts = zip(*(torch.split(grad, sizes, dim=-2) for grad in grads), strict=True)
    total: Gradients = [None] * len(weights)
    for chunk, part in zip(chunks, parts, strict=True):
        found = torch.autograd.grad(embed(chunk), weights, part, allow_unused=True)
        total = _add(total, found)
    return loss, _add(gradients, _over_ranks(total))


def _pass_loss(
    vectors: tuple[Tensor, ...], weights: Sequence[Tensor], loss_of: Loss
) -> tuple[Tensor, Gradients, list[Tensor]]:
    """Return the loss of the vectors of all ranks, and its gradients.

    They are those of weights in the loss itself, such as the temperature, which each rank computes
    in full, and those of this rank's vectors.
    """
    group = process_group.current()
    images, texts = (group.gather(side).requires_grad_() for side in vectors)
    loss = loss_of(images, texts)
    grads = torch.autograd.grad(loss.sum(), [images, texts, *weights], allow_unused=True)
    return loss.detach(), list(grads[2:]), [group.share(grad) for grad in grads[:2]]


def _over_ranks(gradients: Sequence[Tensor | None]) -> Gradients:
    """Add up gradients over all ranks; a weight without one has none in any rank."""
    sums = iter(process_group.current().add_up([each for each in gradients if each is not None]))
    return [None if each is None else next(sums) for each in gradients]


def _add(first: Sequence[Tensor | None], second: Sequence[Tensor | None]) -> Gradients:
    # Not in place: autograd may return one tensor as the gradient of two weights.
    return [
        a if b is None else b if a is None else a + b for a, b in zip(first, second, strict=True)
    ]
