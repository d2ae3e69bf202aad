"""Train and evaluate one epoch of a pack.

K members of a stack, B batch, C captions, P the width of the shared space
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tasks.contract import Advanced, Inputs, Member, State, Step, Trial, TrialError
from tasks.interrupt import check_interrupt
from tasks.models import heads
from tasks.models.heads import CONSTANTS, project
from tasks.progress import progress_part, report_progress
from tasks.retrieval import full, network, stages
from tasks.retrieval.embedding import Embedder, FrozenFeatures, open_split
from tasks.retrieval.evaluation import evaluate
from tasks.retrieval.loop import (
    TRAINED,
    draw_epoch,
    make_loss,
    make_state,
    make_update,
    part_of,
    stack_part,
)
from tasks.retrieval.network_split import NetworkSplit
from tasks.retrieval.stacking import make_stacks
from tasks.stacks import train_stack

TRAINING_COST = 3  # the cost of training, relative to evaluation, in progress reports


def start(trial: Trial, inputs: Inputs, device: str) -> State:
    """Return the state before training: heads from the checkpoint, or random by the seed."""
    weights, constants = _initial_heads(trial, inputs[stages.heads_stage(trial)])
    weights = {name: value.to(device) for name, value in weights.items()}
    if trial.params.trainable != "head":
        weights |= network.initial_weights(trial, device)
    if trial.params.learn_temperature:
        weights["log_temperature"] = torch.tensor(math.log(trial.params.temperature)).to(device)
    if trial.params.learn_bias:
        weights["logit_bias"] = torch.tensor(float(trial.params.bias)).to(device)
    arrays = {f"weight.{name}": value for name, value in weights.items()}
    arrays |= {f"mean.{name}": torch.zeros_like(value) for name, value in weights.items()}
    arrays |= {f"square.{name}": torch.zeros_like(value) for name, value in weights.items()}
    arrays |= {f"constant.{name}": value for name, value in constants.items()}
    return State(arrays=arrays, values={"epoch": 0})


def _initial_heads(trial: Trial, found: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the heads' weights and constants."""
    params = trial.params
    if params.head != "own":
        shapes = {
            f"{side}.{name}": shape
            for side, width in zip(("image", "text"), found["widths"].tolist(), strict=True)
            for name, shape in heads.head_shapes(params.head, width, params.embed_dim).items()
        }
        return heads.init_weights(shapes, trial.seed), {}
    own = {name: torch.tensor(value) for name, value in found.items() if name != "widths"}
    constants = {k: v for k, v in own.items() if k.endswith(heads.CONSTANTS)}
    weights = {k: v for k, v in own.items() if k not in constants}
    if params.start == "random":
        weights = heads.init_weights({k: tuple(v.shape) for k, v in weights.items()}, trial.seed)
    return weights, constants


def advance(pack: Sequence[Member], inputs: Inputs, device: str) -> list[Advanced | Exception]:
    """Train and evaluate one epoch of every member; trials of no epochs are only evaluated."""
    trained: dict[str, tuple[State, float | None] | Exception] = {}
    embedded: dict[str, NetworkSplit] = {}
    training = [m for m in pack if m.trial.params.epochs]
    done, total = 0, TRAINING_COST * len(training) + len(pack)
    for stack in make_stacks(training, device):
        size = TRAINING_COST * len(stack)
        with progress_part(done, total, size):
            found = train_stack(stack, lambda members: _train(members, inputs, device))
        trained |= {m.trial.id: each for m, each in zip(stack, found, strict=True)}
        embedded |= _embed_together(stack, found, device)
        done += size
    results: list[Advanced | Exception] = []
    for number, member in enumerate(pack):
        known = trained.get(member.trial.id, (member.state, None))
        try:
            if isinstance(known, Exception):
                raise known
            with progress_part(done + number, total):
                split = embedded.get(member.trial.id)
                results.append(_step(member.trial, *known, split, inputs, device))
        except Exception as error:  # the other members continue
            results.append(error)
    return results


def _train(
    stack: Sequence[Member], inputs: Inputs, device: str
) -> list[tuple[State, float] | TrialError]:
    if stack[0].trial.params.trainable == "head":
        return train_epoch(stack, inputs, device)
    return full.train_epoch(stack, device)


def _embed_together(
    stack: Sequence[Member], found: Sequence[tuple[State, float] | Exception], device: str
) -> dict[str, NetworkSplit]:
    """Embed the evaluated split by the trained members of a stack of adapters, if there are any.

    They share the images. What is not embedded here is embedded by each member alone.
    """
    members = [
        Member(trial=member.trial, state=each[0])
        for member, each in zip(stack, found, strict=True)
        if not isinstance(each, Exception)
    ]
    if len(members) < 2 or members[0].trial.params.trainable == "head":
        return {}
    splits = train_stack(members, lambda some: full.embed_split(some, device))
    return {
        member.trial.id: split
        for member, split in zip(members, splits, strict=True)
        if not isinstance(split, Exception)
    }


def _step(
    trial: Trial,
    state: State,
    loss: float | None,
    split: Embedder | None,
    inputs: Inputs,
    device: str,
) -> tuple[State, Step]:
    weights = {**part_of(state, "weight"), **part_of(state, "constant")}
    split = split or _evaluated_split(trial, weights, inputs, device)
    epoch = state.values["epoch"]
    done = epoch >= trial.params.epochs
    scores, samples = evaluate(trial, weights, split, device, done=done)
    metrics = scores if loss is None else {"loss": loss, **scores}
    return state, Step(at=epoch, metrics=metrics, samples=samples, done=done)


def _evaluated_split(
    trial: Trial, weights: dict[str, Tensor], inputs: Inputs, device: str
) -> Embedder:
    if trial.params.trainable == "head":
        return open_split(trial, trial.params.split, None, inputs, device)
    return NetworkSplit.open([trial], trial.params.split, [None], weights, device)


def train_epoch(
    stack: Sequence[Member], inputs: Inputs, device: str
) -> list[tuple[State, float] | TrialError]:
    """Train a stack for one epoch; return each member's next state and mean loss."""
    epochs = [member.state.values["epoch"] + 1 for member in stack]
    cache: dict[int, Tensor] = {}  # features on the device, shared by all members
    splits = [
        open_split(m.trial, "train", stages.training_draw(m.trial, epoch), inputs, device, cache)
        for m, epoch in zip(stack, epochs, strict=True)
    ]
    embed = _embedder(splits)
    drawn = [
        draw_epoch(split, m.trial, epoch)
        for split, m, epoch in zip(splits, stack, epochs, strict=True)
    ]
    pairs = torch.stack(drawn, dim=1).to(device)  # [steps, K, 2, B]
    constants = part_of(stack[0].state, "constant")
    parts = {part: stack_part(stack, part) for part in TRAINED}
    weights = parts["weight"]
    for value in weights.values():
        value.requires_grad_(True)
    loss_of = make_loss(stack, device)
    update = make_update(stack, epochs, parts, len(pairs))
    losses = []
    for number, batch in enumerate(pairs):
        check_interrupt()
        report_progress(number, len(pairs))
        vectors = embed({**weights, **constants}, batch[:, 0], batch[:, 1])
        loss = loss_of(weights, *vectors, batch[:, 0])
        # The loss of a member depends only on its own weights, so a NaN does not affect others.
        gradients = torch.autograd.grad(loss.sum(), list(weights.values()), allow_unused=True)
        losses.append(loss.detach())
        update(gradients, number)
    curve = torch.stack(losses).cpu()  # [steps, K]
    return [
        make_state(index, epoch, curve[:, index], parts, constants)
        for index, epoch in enumerate(epochs)
    ]


def _embedder(splits: Sequence[Embedder]) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return a function that embeds a batch of each member.

    It takes weights [K, ...] and the indices [K, B] of images and of captions, and returns unit
    vectors [K, B, P] of both.
    """
    first = splits[0]
    if len(splits) == 1:  # heads of any kind

        def alone(weights: Any, images: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
            own = {k: v if k.endswith(CONSTANTS) else v.squeeze(0) for k, v in weights.items()}
            return first.images(own, images[0])[None], first.texts(own, texts[0])[None]

        return alone
    frozen = [split for split in splits if isinstance(split, FrozenFeatures)]
    assert len(frozen) == len(splits)

    def together(weights: Any, images: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        image = torch.stack([s.image_features[r] for s, r in zip(frozen, images, strict=True)])
        text = torch.stack([s.text_features[r] for s, r in zip(frozen, texts, strict=True)])
        return project(weights, "image", image), project(weights, "text", text)

    return together
