"""Train encoders for an epoch, in full or by adapters, with the heads.

Trials with adapters of equal shapes are trained as a stack in float32: they share the frozen
weights, and the images that they augment alike.

K stacked trials, B batch, P the width of the shared space
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from tasks import process_group
from tasks.contract import Member, State, TrialError
from tasks.interrupt import check_interrupt
from tasks.progress import report_progress
from tasks.retrieval import gradients, network, stages
from tasks.retrieval.evaluation import embed_all, evaluated_at_a_time
from tasks.retrieval.loop import (
    TRAINED,
    draw_epoch,
    make_loss,
    make_state,
    make_update,
    part_of,
    stack_part,
)
from tasks.retrieval.matching_step import MatchingStep
from tasks.retrieval.network_split import NetworkSplit
from tasks.retrieval.optimizer import UNDECAYED
from tasks.retrieval.params import Params
from tasks.retrieval.prefetch import num_threads, prefetch

#: Inputs of the image encoder and the indices [K, B] of captions: a part of a batch.
Chunk = tuple[Mapping[str, Tensor], Tensor]
#: How the names of weights start that are not those of encoders or heads.
OF_THE_LOSS = (*UNDECAYED, network.MATCHING)


def train_epoch(stack: Sequence[Member], device: str) -> list[tuple[State, float] | TrialError]:
    """Train a stack for an epoch; return each member's next state and mean loss."""
    trials = [member.trial for member in stack]
    epochs = [member.state.values["epoch"] + 1 for member in stack]
    parts = {part: stack_part(stack, part) for part in TRAINED}
    weights = {
        name: _alone(v, stack).detach().requires_grad_(True) for name, v in parts["weight"].items()
    }
    draws = [stages.training_draw(t, epoch) for t, epoch in zip(trials, epochs, strict=True)]
    split = NetworkSplit.open(trials, "train", draws, weights, device)
    drawn = [draw_epoch(split, t, epoch) for t, epoch in zip(trials, epochs, strict=True)]
    pairs = torch.stack(drawn, dim=1)  # [steps, K, 2, B]
    scales = network.group_by_scale(split.dual, weights, trials[0].params.layer_decay)
    update = make_update(stack, epochs, parts, len(pairs), scales)
    batch = _BatchLoss(
        stack=stack,
        split=split,
        weights=weights,
        constants=part_of(stack[0].state, "constant"),
        pairs=pairs.to(device),
        contrast=make_loss(stack, device),
        matching=MatchingStep.open(stack, epochs, split, len(pairs), device),
    )
    losses = []
    for number, chunks in enumerate(_batches(split, pairs, trials[0].params, device)):
        check_interrupt()
        report_progress(number, len(pairs))
        is_whole = len(chunks) == 1
        find = gradients.whole_gradients if is_whole else gradients.cached_gradients
        loss_of = partial(batch.loss_of, number)
        loss, grads = find(batch.embed, chunks, list(weights.values()), loss_of)
        losses.append(loss)
        update([None if each is None else _lead(each, stack) for each in grads], number)
    curve = torch.stack(losses).cpu()  # [steps, K]
    return [
        make_state(index, epoch, curve[:, index], parts, batch.constants)
        for index, epoch in enumerate(epochs)
    ]


@torch.no_grad()
def embed_split(stack: Sequence[Member], device: str) -> list[NetworkSplit]:
    """Embed the split on which a stack is evaluated; return it for each member.

    Members that are evaluated on different splits cannot be in a stack.
    """
    trials = [member.trial for member in stack]
    params: Params = trials[0].params
    if len(stack) == 1:
        return [_open_alone(stack[0], device)]
    weights = stack_part(stack, "weight") | part_of(stack[0].state, "constant")
    together = NetworkSplit.open(trials, params.split, [None] * len(stack), weights, device)
    size = evaluated_at_a_time(params)
    images = embed_all(together.images, weights, together.num_images, size, device)  # [K, N, P]
    texts = embed_all(together.texts, weights, together.num_texts, size, device)
    splits = []
    for member, image, text in zip(stack, images, texts, strict=True):
        # Only re-ranking runs the encoders again.
        re_ranks = member.trial.params.rerank_k is not None
        split = _open_alone(member, device) if re_ranks else together
        vectors = torch.from_numpy(image), torch.from_numpy(text)
        splits.append(dataclasses.replace(split, draws=[None], vectors=vectors))
    return splits


def _open_alone(member: Member, device: str) -> NetworkSplit:
    weights = part_of(member.state, "weight") | part_of(member.state, "constant")
    trial = member.trial
    return NetworkSplit.open([trial], trial.params.split, [None], weights, device)


@dataclass(frozen=True, kw_only=True)
class _BatchLoss:
    """The loss of the batches of an epoch."""

    stack: Sequence[Member]
    split: NetworkSplit
    weights: dict[str, Tensor]
    constants: dict[str, Tensor]
    pairs: Int[Tensor, "steps K 2 B"]
    contrast: Callable[[dict[str, Tensor], Tensor, Tensor, Tensor], Tensor]
    matching: MatchingStep | None

    def embed(self, chunk: Chunk) -> tuple[Any, ...]:
        """Return vectors of images and captions, and what the matching loss needs."""
        own = {**self.weights, **self.constants}
        split, dual = self.split, self.split.dual
        # A tokenizer is not safe in several threads, so captions are prepared here.
        texts = split.load_texts(chunk[1])
        text = split.project(own, "text", dual.text.compute(texts))
        if self.matching is None:
            return split.project(own, "image", dual.image.compute(chunk[0])), text
        features, tokens = dual.image.compute_with_tokens(chunk[0])
        return split.project(own, "image", features), text, tokens, texts

    def loss_of(self, number: int, images: Tensor, texts: Tensor, *rest: Any) -> Tensor:
        """Return the loss [K] of what ``embed`` returns for all of the epoch's batch ``number``."""
        own = {
            name: _lead(value, self.stack)
            for name, value in self.weights.items()
            if name.startswith(OF_THE_LOSS)
        }
        vectors, pairs = (_lead(images, self.stack), _lead(texts, self.stack)), self.pairs[number]
        loss = self.contrast(own, *vectors, pairs[:, 0])
        if self.matching is None:
            return loss
        return loss + self.matching.loss(own, *vectors, *rest, pairs=pairs, number=number)


def _alone(value: Tensor, stack: Sequence[Member]) -> Tensor:
    """Return a part of a stack [K, ...] without the dimension of the only member."""
    return value[0] if len(stack) == 1 else value


def _lead(value: Tensor, stack: Sequence[Member]) -> Tensor:
    """Return a value with a dimension of the only member, as those of a stack [K, ...] have."""
    return value[None] if len(stack) == 1 else value


def _batches(
    split: NetworkSplit, pairs: Tensor, params: Params, device: str
) -> Iterator[list[Chunk]]:
    """Yield this rank's chunks of each batch."""
    group = process_group.current()  # threads would not know it

    def make(batch: Tensor) -> list[Chunk]:
        own = group.share(batch, dim=2)
        chunks = torch.split(own, params.chunk_size or params.batch_size, dim=2)
        return [(_pin(split.load_images(c[:, 0]), device), c[:, 1]) for c in chunks]

    return prefetch(make, list(pairs), num_threads(device))


def _pin(inputs: Mapping[str, Tensor], device: str) -> Mapping[str, Tensor]:
    """Return inputs in pinned memory, from which a GPU copies while it computes."""
    if not device.startswith("cuda"):
        return inputs
    return {name: value.pin_memory() for name, value in inputs.items()}
