"""Train stacked heads on frozen features, one epoch at a time, and evaluate them.

K members of a stack, B batch, D width of a level, C classes, h x w grid, S side of the labels
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.adamw import adamw_step
from tasks.arrays import select
from tasks.contract import Advanced, Inputs, Member, State, Step, Trial, TrialError
from tasks.interrupt import check_interrupt
from tasks.progress import progress_part, report_progress
from tasks.segmentation import full, stages
from tasks.segmentation.evaluation import Score, Scores, Truth, evaluate, make_truth
from tasks.segmentation.heads import apply_head, head_shapes, init_head
from tasks.segmentation.loop import draw_batches, learning_rate
from tasks.segmentation.losses import segmentation_loss
from tasks.segmentation.masked import MaskedSplit
from tasks.segmentation.pictures import picture_samples
from tasks.segmentation.registry import load_split
from tasks.segmentation.resizing import resize_scores
from tasks.stacks import check_losses, train_stack
from tasks.transfer import to_device

MAX_STACK = 8  # members whose activations are in memory together
TRAINING_COST = 3  # the cost of training, relative to evaluation, in progress reports
PARTS = ("weight", "mean", "square")


def start(trial: Trial, inputs: Inputs, device: str) -> State:
    """Return the state before training, with a head drawn by the seed."""
    classes = load_split(trial.data.name, trial.params.split).classes
    if trial.params.trainable != "head":
        return full.start(trial, classes, device)
    levels = stages.levels_of(inputs[stages.evaluation_stage(trial)], trial.params.head)
    shapes = head_shapes(
        trial.params.head,
        [level.shape[1] for level in levels],
        trial.params.head_width,
        len(classes),
    )
    weights = {name: value.to(device) for name, value in init_head(shapes, trial.seed).items()}
    zeros = {name: torch.zeros_like(value) for name, value in weights.items()}
    parts = {"weight": weights, "mean": zeros, "square": zeros}
    return join_parts(parts, epoch=0, classes=classes)


def join_parts(
    parts: Mapping[str, Mapping[str, Tensor]], *, epoch: int, classes: Sequence[str]
) -> State:
    """Return a state whose arrays are called ``part.name``."""
    arrays = {f"{part}.{name}": v for part, named in parts.items() for name, v in named.items()}
    return State(arrays=arrays, values={"epoch": epoch, "classes": list(classes)})


def part_of(state: State, part: str) -> dict[str, Tensor]:
    """Return one part of a state by name."""
    return dict(sorted(select(state.arrays, f"{part}.").items()))


def advance(pack: Sequence[Member], inputs: Inputs, device: str) -> list[Advanced | Exception]:
    """Train and evaluate one epoch of every member; trials of no epochs are only evaluated."""
    trained: dict[str, tuple[State, float] | Exception] = {}
    training = [member for member in pack if member.trial.params.epochs]
    done, total = 0, TRAINING_COST * len(training) + len(pack)
    for stack in make_stacks(training):
        size = TRAINING_COST * len(stack)
        with progress_part(done, total, size):
            found = _train(stack, inputs, device)
        trained |= {m.trial.id: each for m, each in zip(stack, found, strict=True)}
        done += size
    results: list[Advanced | Exception] = []
    for number, member in enumerate(pack):
        state, loss = member.state, None
        try:
            known = trained.get(member.trial.id)
            if isinstance(known, Exception):
                raise known
            if known is not None:
                state, loss = known
            with progress_part(done + number, total):
                results.append((state, _score(member.trial, state, loss, inputs, device)))
        except Exception as error:  # the other members continue
            results.append(error)
    return results


def make_stacks(members: Sequence[Member]) -> list[list[Member]]:
    """Group members whose heads, inputs and numbers of steps are equal into stacks."""
    groups: dict[object, list[Member]] = {}
    for member in members:
        params = member.trial.params
        shapes = tuple(
            (name, tuple(v.shape)) for name, v in part_of(member.state, "weight").items()
        )
        # Augmented members have features of their own; the others often share their batches.
        key = (shapes, params.batch_size, params.training_size, params.num_images, params.augment)
        alone = params.trainable != "head"
        groups.setdefault(member.trial.id if alone else key, []).append(member)
    return [
        group[first : first + MAX_STACK]
        for group in groups.values()
        for first in range(0, len(group), MAX_STACK)
    ]


def _train(
    stack: Sequence[Member], inputs: Inputs, device: str
) -> Sequence[tuple[State, float] | Exception]:
    """Train a stack of heads, or one full network, for one epoch."""
    if stack[0].trial.params.trainable != "head":
        (member,) = stack
        return train_stack(stack, lambda _: [full.train_epoch(member.trial, member.state, device)])
    return train_stack(stack, lambda members: train_epoch(members, inputs, device))


def train_epoch(
    stack: Sequence[Member], inputs: Inputs, device: str
) -> list[tuple[State, float] | TrialError]:
    """Train a stack of heads for one epoch; return each member's next state and mean loss."""
    epochs = [member.state.values["epoch"] + 1 for member in stack]
    values = [
        inputs[stages.training_stage(member.trial, epoch)]
        for member, epoch in zip(stack, epochs, strict=True)
    ]
    orders = np.stack(
        [
            draw_batches(len(value["labels"]), member.trial, epoch)
            for value, member, epoch in zip(values, stack, epochs, strict=True)
        ],
        axis=1,
    )  # [steps, K, B]
    parts = {
        name: {key: torch.stack([part_of(m.state, name)[key] for m in stack]) for key in keys}
        for name in PARTS
        for keys in [part_of(stack[0].state, name)]
    }
    weights = {name: value.requires_grad_(True) for name, value in parts["weight"].items()}
    # Members with one seed and the same images see the same batches, so they share them.
    seen = {(id(v), orders[:, k].tobytes()) for k, v in enumerate(values)}
    shared, head = len(seen) == 1, stack[0].trial.params.head
    dtype = next(iter(weights.values())).dtype  # features are stored in that of the encoder
    losses = []
    for number, rows in enumerate(orders):
        check_interrupt()
        report_progress(number, len(orders))
        chosen = list(zip(values, rows, strict=True))[: 1 if shared else None]
        batches = [_batch(value, head, row, device, dtype) for value, row in chosen]
        logits = _stacked_scores(weights, [levels for levels, _ in batches])
        loss = torch.stack(
            [
                _loss(member.trial, logits[k], batches[0 if shared else k][1])
                for k, member in enumerate(stack)
            ]
        )
        # The loss of a member depends only on its own weights, so a NaN does not affect others.
        gradients = torch.autograd.grad(loss.sum(), list(weights.values()))
        losses.append(loss.detach())
        moments = (parts["mean"].values(), parts["square"].values())
        for k, (member, epoch) in enumerate(zip(stack, epochs, strict=True)):
            params, step = member.trial.params, (epoch - 1) * len(orders) + number
            adamw_step(
                *([each[k] for each in part] for part in (weights.values(), gradients, *moments)),
                lr=learning_rate(params, step, params.epochs * len(orders)),
                weight_decay=params.weight_decay,
                step=step + 1,
            )
    curve = torch.stack(losses).cpu()
    classes = stack[0].state.values["classes"]
    return [_result(k, epoch, curve[:, k], parts, classes) for k, epoch in enumerate(epochs)]


def _batch(
    value: Any, head: str, rows: Any, device: str, dtype: torch.dtype
) -> tuple[list[Tensor], Tensor]:
    """Return the features [B, D, h, w] of each level and the labels [B, S, S] of a batch."""
    rows = np.sort(rows)  # reads a large array in order; the order within a batch has no effect
    return (
        [_copy(level[rows], device).to(dtype) for level in stages.levels_of(value, head)],
        _copy(value["labels"][rows], device),
    )


def _copy(array: Any, device: str) -> Tensor:
    return to_device(torch.from_numpy(array), device)


def _stacked_scores(weights: dict[str, Tensor], batches: Sequence[list[Tensor]]) -> Tensor:
    """Return the class scores [K, B, C, h, w] of stacked heads, on one batch or on one each."""
    number = len(next(iter(weights.values())))
    if number == 1:
        return apply_head({name: value[0] for name, value in weights.items()}, batches[0])[None]
    if len(batches) == 1:
        return torch.func.vmap(apply_head, (0, None))(weights, batches[0])
    levels = [torch.stack(level) for level in zip(*batches, strict=True)]
    return torch.func.vmap(apply_head)(weights, levels)


def _loss(trial: Trial, logits: Tensor, labels: Tensor) -> Tensor:
    return segmentation_loss(trial.params, resize_scores(logits, labels.shape[-2:]), labels)


def _result(
    index: int,
    epoch: int,
    losses: Tensor,
    parts: Mapping[str, Mapping[str, Tensor]],
    classes: Sequence[str],
) -> tuple[State, float] | TrialError:
    check = check_losses(losses, epoch)
    if check is not None:
        return check
    own = {
        part: {name: value[index].detach().clone() for name, value in named.items()}
        for part, named in parts.items()
    }
    return join_parts(own, epoch=epoch, classes=classes), float(losses.mean())


def _score(trial: Trial, state: State, loss: float | None, inputs: Inputs, device: str) -> Step:
    """Evaluate a member; the last step also has boundary scores and pictures."""
    epoch = state.values["epoch"]
    done = epoch >= trial.params.epochs
    split = load_split(trial.data.name, trial.params.split)
    truth = make_truth(inputs[stages.masks_stage(trial)], trial.params)
    score = _scorer(trial, state, truth, inputs, split, device)
    scores: Scores = evaluate(truth, score, len(split.classes), boundaries=done)
    samples = scores.samples(split)
    if done:
        pictures = picture_samples(split, truth, score, samples["image_iou"])
        samples = {name: values + pictures[name] for name, values in samples.items()}
    found = scores.metrics(split.classes)
    return Step(
        at=epoch,
        metrics=found if loss is None else {"loss": loss, **found},
        samples=samples,
        done=done,
    )


def _scorer(
    trial: Trial, state: State, truth: Truth, inputs: Inputs, split: MaskedSplit, device: str
) -> Score:
    """Return the function that scores windows of the evaluated split."""
    if trial.params.trainable != "head":
        return full.scorer(trial, state, truth, split, device)
    levels = stages.levels_of(inputs[stages.evaluation_stage(trial)], trial.params.head)
    weights = part_of(state, "weight")

    def score(rows: Sequence[int]) -> Tensor:
        return apply_head(weights, [_copy(level[list(rows)], device).float() for level in levels])

    return score
