"""Train the encoders of one trial for an epoch, in full or by adapters, with the heads.

B batch, P the width of the shared space
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from tasks.contract import Member, State, Trial, TrialError
from tasks.interrupt import check_interrupt
from tasks.models.heads import project
from tasks.progress import report_progress
from tasks.retrieval import gradients, network, stages
from tasks.retrieval.gradients import Gradients
from tasks.retrieval.loop import draw_epoch, make_loss, make_state, part_of, stack_part
from tasks.retrieval.network import NetworkSplit
from tasks.retrieval.optimizer import UNDECAYED, adamw_step, clamp_temperature
from tasks.retrieval.params import Params
from tasks.retrieval.prefetch import num_threads, prefetch
from tasks.schedules import learning_rate

#: Inputs of the image encoder and the indices of captions: a part of a batch.
Chunk = tuple[Mapping[str, Tensor], Tensor]
Parts = dict[str, dict[str, Tensor]]


def train_epoch(stack: Sequence[Member], device: str) -> list[tuple[State, float] | TrialError]:
    """Train one member for an epoch; return its next state and mean loss."""
    (member,) = stack
    trial, epoch = member.trial, member.state.values["epoch"] + 1
    # With a leading dimension of one, as those of a stack.
    parts = {part: stack_part(stack, part) for part in ("weight", "mean", "square")}
    weights = {name: v[0].detach().requires_grad_(True) for name, v in parts["weight"].items()}
    constants = part_of(member.state, "constant")
    draw = stages.training_draw(trial, epoch)
    split = NetworkSplit.open(trial, "train", draw, weights, device)
    pairs = draw_epoch(split, trial, epoch)
    update = _make_update(trial, split, parts, (epoch - 1) * len(pairs), len(pairs))
    stacked_loss = make_loss(stack, device)
    losses = []
    for number, (chunks, rows) in enumerate(_batches(split, pairs, trial.params, device)):
        check_interrupt()
        report_progress(number, len(pairs))

        def embed(chunk: Chunk) -> tuple[Tensor, Tensor]:
            image = project({**weights, **constants}, "image", split.dual.image.compute(chunk[0]))
            # A tokenizer is not safe in several threads, so captions are prepared here.
            return image, split.texts({**weights, **constants}, chunk[1])

        def loss_of(images: Tensor, texts: Tensor, rows: Tensor = rows) -> Tensor:
            own = {name: weights[name][None] for name in UNDECAYED if name in weights}
            return stacked_loss(own, images[None], texts[None], rows[None])[0]

        is_whole = len(chunks) == 1
        find = gradients.whole_gradients if is_whole else gradients.cached_gradients
        loss, slopes = find(embed, chunks, list(weights.values()), loss_of)
        losses.append(loss)
        update(slopes, number)
    return [make_state(0, epoch, torch.stack(losses).cpu(), parts, constants)]


def _batches(
    split: NetworkSplit, pairs: Tensor, params: Params, device: str
) -> Iterator[tuple[list[Chunk], Tensor]]:
    """Yield the chunks of each batch and the indices [B] of its images, which are on the device."""

    def make(batch: Tensor) -> list[Chunk]:
        chunks = torch.split(batch, params.chunk_size or params.batch_size, dim=1)
        return [(_pin(split.load("image", c[0].tolist()), device), c[1]) for c in chunks]

    made = prefetch(make, list(pairs), num_threads(device))
    yield from zip(made, pairs[:, 0].to(device), strict=True)


def _pin(inputs: Mapping[str, Tensor], device: str) -> Mapping[str, Tensor]:
    """Return inputs in pinned memory, from which a GPU copies while it computes."""
    if not device.startswith("cuda"):
        return inputs
    return {name: value.pin_memory() for name, value in inputs.items()}


def _make_update(
    trial: Trial, split: NetworkSplit, parts: Parts, first: int, num_steps: int
) -> Callable[[Gradients, int], None]:
    """Return the function that updates the weights in place after a step of the epoch.

    ``first`` is the number of steps before the epoch, which has ``num_steps``.
    """
    params: Params = trial.params
    weights, means, squares = parts.values()
    scales = network.group_by_scale(split.dual, weights, params.layer_decay)

    def update(found: Gradients, number: int) -> None:
        step = first + number
        lr = learning_rate(params.lr, params.warmup, step, params.epochs * num_steps)
        slopes = {
            name: None if each is None else each[None]
            for name, each in zip(weights, found, strict=True)
        }
        for scale, names in scales.items():
            own, own_slopes = {name: weights[name] for name in names}, [slopes[n] for n in names]
            decay = params.weight_decay
            adamw_step([0], own, own_slopes, (means, squares), scale * lr, decay, step + 1)
        if params.loss != "sigmoid":  # SigLIP's temperature has no bound
            clamp_temperature(weights)

    return update
