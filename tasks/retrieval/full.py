"""Train the encoders of one trial for an epoch, in full or by adapters, with the heads.

B batch, P the width of the shared space
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from tasks.interrupt import check_interrupt
from tasks.models.heads import project
from tasks.progress import report_progress
from tasks.retrieval.network import NetworkSplit
from tasks.retrieval.prefetch import num_threads, prefetch

#: The loss of a batch, from unit vectors [B, P] of images and of captions, and the indices [B] of
#: the images. It can also depend on the weights.
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
#: Updates the weights in place, from their gradients and the number of the step in the epoch.
Update = Callable[[list[Tensor | None], int], None]
#: Inputs of the image encoder and the indices of captions: a part of a batch.
Chunk = tuple[Mapping[str, Tensor], Tensor]
Embed = Callable[[Chunk], tuple[Tensor, Tensor]]


def train_epoch(
    split: NetworkSplit,
    pairs: Tensor,
    weights: Mapping[str, Tensor],
    constants: Mapping[str, Tensor],
    loss_of: Loss,
    update: Update,
    chunk_size: int | None,
) -> Tensor:
    """Train for one epoch and return the loss of each step.

    Args:
        split: the training split, whose encoders share ``weights``.
        pairs: the indices of images and captions, [steps, 2, B].
        weights: the trained weights, with ``requires_grad``.
        constants: the constants of the heads.
        loss_of: the loss of a batch.
        update: updates the weights in place.
        chunk_size: the pairs that are in an encoder at a time; None for the whole batch.
    """
    device, own = split.dual.image.device, {**weights, **constants}

    def make(batch: Tensor) -> list[Chunk]:
        parts = torch.split(batch, chunk_size or batch.shape[1], dim=1)
        return [(_pin(split.load("image", part[0].tolist()), device), part[1]) for part in parts]

    def embed(chunk: Chunk) -> tuple[Tensor, Tensor]:
        image, texts = project(own, "image", split.dual.image.compute(chunk[0])), chunk[1]
        return image, split.texts(own, texts)  # a tokenizer is not safe in several threads

    losses = []
    batches = prefetch(make, list(pairs), num_threads(device))
    for number, (chunks, batch) in enumerate(zip(batches, pairs, strict=True)):
        check_interrupt()
        report_progress(number, len(pairs))
        find = whole_gradients if len(chunks) == 1 else cached_gradients
        loss, gradients = find(embed, chunks, list(weights.values()), loss_of, batch[0])
        losses.append(loss)
        update(gradients, number)
    return torch.stack(losses)


def _pin(inputs: Mapping[str, Tensor], device: str) -> Mapping[str, Tensor]:
    """Return inputs in pinned memory, from which a GPU copies while it computes."""
    if not device.startswith("cuda"):
        return inputs
    return {name: value.pin_memory() for name, value in inputs.items()}


def whole_gradients(
    embed: Embed, chunks: Sequence[Chunk], weights: Sequence[Tensor], loss_of: Loss, rows: Tensor
) -> tuple[Tensor, list[Tensor | None]]:
    """Return the loss of a batch, which is one chunk, and the gradients of the weights."""
    (chunk,) = chunks
    loss = loss_of(*embed(chunk), rows)
    return loss.detach(), list(torch.autograd.grad(loss, weights, allow_unused=True))


def cached_gradients(
    embed: Embed, chunks: Sequence[Chunk], weights: Sequence[Tensor], loss_of: Loss, rows: Tensor
) -> tuple[Tensor, list[Tensor | None]]:
    """Return the same as ``whole_gradients`` with the activations of one chunk in memory at a time.

    The loss needs the vectors of the whole batch. They are computed without activations first, and
    their gradients are kept. Each chunk is then computed again and passes its share of them on
    (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size", section 3).
    """
    with torch.no_grad():
        vectors = [embed(chunk) for chunk in chunks]
    images, texts = (torch.cat(side).requires_grad_() for side in zip(*vectors, strict=True))
    loss = loss_of(images, texts, rows)
    # Weights in the loss itself, such as the temperature, have their gradient already.
    slopes = torch.autograd.grad(loss, [images, texts, *weights], allow_unused=True)
    gradients: list[Tensor | None] = list(slopes[2:])
    sizes = [len(each) for each, _ in vectors]
    parts = zip(*(torch.split(slope, sizes) for slope in slopes[:2]), strict=True)
    for chunk, part in zip(chunks, parts, strict=True):
        found = torch.autograd.grad(embed(chunk), weights, part, allow_unused=True)
        for index, gradient in enumerate(found):
            if gradient is not None:
                known = gradients[index]
                gradients[index] = gradient if known is None else known.add_(gradient)
    return loss.detach(), gradients
