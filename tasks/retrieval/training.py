"""Train and evaluate one epoch of a pack.

K members of a stack, B batch, C captions, P the width of the shared space
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tasks.contract import Advanced, Inputs, Member, State, Step, Trial, TrialError
from tasks.interrupt import check_interrupt
from tasks.models import heads
from tasks.models.heads import CONSTANTS, can_stack, project
from tasks.progress import progress_part, report_progress
from tasks.retrieval import full, network, stages
from tasks.retrieval.embedding import Embedder, FrozenFeatures, open_split
from tasks.retrieval.losses import contrastive_loss, sigmoid_loss
from tasks.retrieval.optimizer import UNDECAYED, adamw_step, clamp_temperature, learning_rate
from tasks.retrieval.pairs import draw_pairs
from tasks.retrieval.params import Params
from tasks.retrieval.ranked_samples import ranked_samples
from tasks.retrieval.ranks import CUTOFFS, rank_pairs, recalls
from tasks.stacks import check_losses, train_stack

STACK_BYTES = 32 * 2**20  # weights, gradients and moments of a stack on a CPU
CHUNK = 256  # number of rows that an evaluation embeds at a time
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
    training = [m for m in pack if m.trial.params.epochs]
    done, total = 0, TRAINING_COST * len(training) + len(pack)
    for stack in make_stacks(training, device):
        size = TRAINING_COST * len(stack)
        with progress_part(done, total, size):
            train = train_epoch if stack[0].trial.params.trainable == "head" else train_network
            found = train_stack(stack, lambda members: train(members, inputs, device))  # noqa: B023
        trained |= {m.trial.id: each for m, each in zip(stack, found, strict=True)}
        done += size
    results: list[Advanced | Exception] = []
    for number, member in enumerate(pack):
        known = trained.get(member.trial.id, (member.state, None))
        try:
            if isinstance(known, Exception):
                raise known
            with progress_part(done + number, total):
                results.append(_step(member.trial, *known, inputs, device))
        except Exception as error:  # the other members continue
            results.append(error)
    return results


def _step(
    trial: Trial, state: State, loss: float | None, inputs: Inputs, device: str
) -> tuple[State, Step]:
    weights = {**_part(state, "weight"), **_part(state, "constant")}
    split = _evaluated_split(trial, weights, inputs, device)
    epoch = state.values["epoch"]
    done = epoch >= trial.params.epochs
    scores, samples = _evaluate(weights, split, trial, done=done)
    metrics = scores if loss is None else {"loss": loss, **scores}
    return state, Step(at=epoch, metrics=metrics, samples=samples, done=done)


def _evaluated_split(
    trial: Trial, weights: dict[str, Tensor], inputs: Inputs, device: str
) -> Embedder:
    if trial.params.trainable == "head":
        return open_split(trial, trial.params.split, None, inputs, device)
    return network.NetworkSplit.open(trial, trial.params.split, None, weights, device)


def make_stacks(members: Sequence[Member], device: str) -> list[list[Member]]:
    """Group members whose heads have the same shapes, batch size, loss and pairs into stacks.

    On a CPU, the size of a stack is limited so that its weights and moments fit into the cache.
    """
    groups: dict[object, list[Member]] = {}
    for member in members:
        params, weights = member.trial.params, _part(member.state, "weight")
        alone = params.trainable != "head" or not can_stack(weights)
        shapes = tuple((name, tuple(value.shape)) for name, value in weights.items())
        key = (
            member.trial.id
            if alone
            else (shapes, params.batch_size, params.loss, _num_pairs(params), member.trial.data)
        )
        groups.setdefault(key, []).append(member)
    stacks = []
    for group in groups.values():
        size = len(group)
        if device == "cpu":
            num_bytes = 4 * sum(v.numel() * 4 for v in _part(group[0].state, "weight").values())
            size = max(1, STACK_BYTES // num_bytes)
        stacks += [group[first : first + size] for first in range(0, len(group), size)]
    return stacks


def _num_pairs(params: Params) -> object:
    """Return what decides the number of pairs of an epoch, besides the batch size."""
    return ("all", params.num_captions) if params.pairs == "all" else "images"


def _part(state: State, part: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(f"{part}."): value
        for name, value in sorted(state.arrays.items())
        if name.startswith(f"{part}.")
    }


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
        _draw_pairs(split, m.trial, epoch)
        for split, m, epoch in zip(splits, stack, epochs, strict=True)
    ]
    pairs = torch.stack(drawn, dim=1).to(device)  # [steps, K, 2, B]
    constants = _part(stack[0].state, "constant")
    weights, means, squares = (_stacked(stack, part) for part in ("weight", "mean", "square"))
    for value in weights.values():
        value.requires_grad_(True)
    loss_of = _make_loss(stack, device)
    schedules = _schedules(stack, epochs)
    losses = []
    for number, batch in enumerate(pairs):
        check_interrupt()
        report_progress(number, len(pairs))
        vectors = embed({**weights, **constants}, batch[:, 0], batch[:, 1])
        loss = loss_of(weights, *vectors, batch[:, 0])
        # The loss of a member depends only on its own weights, so a NaN does not affect others.
        gradients = torch.autograd.grad(loss.sum(), list(weights.values()), allow_unused=True)
        losses.append(loss.detach())
        for (initial_lr, warmup, decay, num_epochs, epoch), indices in schedules.items():
            step = (epoch - 1) * len(pairs) + number
            lr = learning_rate(initial_lr, warmup, step, num_epochs * len(pairs))
            adamw_step(indices, weights, gradients, (means, squares), lr, decay, step + 1)
        _clamp(stack[0].trial.params, weights)
    parts = {"weight": weights, "mean": means, "square": squares}
    curve = torch.stack(losses).cpu()  # [steps, K]
    return [
        _result(index, epoch, curve[:, index], parts, constants)
        for index, epoch in enumerate(epochs)
    ]


def _clamp(params: Params, weights: dict[str, Tensor]) -> None:
    if params.loss != "sigmoid":  # SigLIP's temperature has no bound
        clamp_temperature(weights)


def train_network(
    stack: Sequence[Member], inputs: Inputs, device: str
) -> list[tuple[State, float] | TrialError]:
    """Train the encoders and heads of one member for one epoch, as ``train_epoch`` does heads."""
    (member,) = stack
    trial, epoch = member.trial, member.state.values["epoch"] + 1
    params, constants = trial.params, _part(member.state, "constant")
    # With a leading dimension of one, as those of a stack.
    parts = {part: _stacked(stack, part) for part in ("weight", "mean", "square")}
    stacked, means, squares = parts.values()
    weights = {name: value[0].detach().requires_grad_(True) for name, value in stacked.items()}
    draw = stages.training_draw(trial, epoch)
    split = network.NetworkSplit.open(trial, "train", draw, weights, device)
    pairs = _draw_pairs(split, trial, epoch)
    scales = network.group_by_scale(split.dual, weights, params.layer_decay)
    stacked_loss = _make_loss(stack, device)

    def loss_of(images: Tensor, texts: Tensor, rows: Tensor) -> Tensor:
        own = {name: weights[name][None] for name in UNDECAYED if name in weights}
        return stacked_loss(own, images[None], texts[None], rows.to(device)[None])[0]

    def update(gradients: list[Tensor | None], number: int) -> None:
        step = (epoch - 1) * len(pairs) + number
        lr = learning_rate(params.lr, params.warmup, step, params.epochs * len(pairs))
        by_name = {
            name: None if each is None else each[None]
            for name, each in zip(weights, gradients, strict=True)
        }
        for scale, names in scales.items():
            own, found = {name: stacked[name] for name in names}, [by_name[n] for n in names]
            decay = params.weight_decay
            adamw_step([0], own, found, (means, squares), scale * lr, decay, step + 1)
        _clamp(params, stacked)

    losses = full.train_epoch(
        split, pairs, weights, constants, loss_of, update, params.chunk_size
    ).cpu()
    return [_result(0, epoch, losses, parts, constants)]


def _schedules(
    stack: Sequence[Member], epochs: Sequence[int]
) -> dict[tuple[float, float | None, float, int, int], list[int]]:
    """Group members' indices by (learning rate, warm-up, weight decay, epochs, current epoch)."""
    found: dict[tuple[float, float | None, float, int, int], list[int]] = {}
    for index, (member, epoch) in enumerate(zip(stack, epochs, strict=True)):
        params = member.trial.params
        key = (params.lr, params.warmup, params.weight_decay, params.epochs, epoch)
        found.setdefault(key, []).append(index)
    return found


def _result(
    index: int,
    epoch: int,
    losses: Tensor,
    parts: dict[str, dict[str, Tensor]],
    constants: dict[str, Tensor],
) -> tuple[State, float] | TrialError:
    error = check_losses(losses, epoch)
    if error is not None:
        return error
    arrays: dict[str, Any] = {
        f"{part}.{name}": value[index].detach().clone()
        for part, values in parts.items()
        for name, value in values.items()
    }
    arrays |= {f"constant.{name}": value for name, value in constants.items()}
    return State(arrays=arrays, values={"epoch": epoch}), float(losses.mean())


def _stacked(stack: Sequence[Member], part: str) -> dict[str, Tensor]:
    """Stack a part of the members' states, [K, ...] by name."""
    each = [_part(member.state, part) for member in stack]
    return {name: torch.stack([arrays[name] for arrays in each]) for name in each[0]}


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


def _draw_pairs(split: Embedder, trial: Trial, epoch: int) -> Tensor:
    """Return the (image, caption) pairs of an epoch, [steps, 2, B]."""
    params = trial.params
    drawn = draw_pairs(
        split.row,
        split.owner,
        params.pairs,
        seed=trial.seed,
        epoch=epoch,
        batch_size=params.batch_size,
    )
    return torch.from_numpy(drawn)


def _make_loss(
    stack: Sequence[Member], device: str
) -> Callable[[dict[str, Tensor], Tensor, Tensor, Tensor], Float[Tensor, " K"]]:
    """Return the loss of a stack's members.

    It is a function of their weights, of vectors of images and texts [K, B, P], and of the indices
    of the images [K, B].
    """
    params = [member.trial.params for member in stack]
    temperatures = torch.tensor([each.temperature for each in params], device=device)
    is_sigmoid = params[0].loss == "sigmoid"
    biases = torch.tensor([each.bias for each in params], device=device) if is_sigmoid else None

    def loss_of(weights: dict[str, Tensor], images: Tensor, texts: Tensor, rows: Tensor) -> Tensor:
        # Only with all pairs can a batch contain an image twice.
        same = rows[:, :, None] == rows[:, None] if params[0].pairs == "all" else None
        log = weights.get("log_temperature")
        temperature = (temperatures if log is None else log.exp())[:, None, None]
        if biases is None:
            return contrastive_loss(images, texts, temperature, same)
        bias = weights.get("logit_bias", biases)[:, None, None]
        return sigmoid_loss(images, texts, temperature, bias, same)

    return loss_of


@torch.no_grad()
def _evaluate(
    weights: dict[str, Tensor], split: Embedder, trial: Trial, *, done: bool
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return metrics, and each query's expected rank and hit probabilities as samples.

    When the trial is ``done``, the samples also have what the worst queries found.
    """
    total = split.num_images + split.num_texts
    with progress_part(0, total, split.num_images):
        image = _embed_all(split.images, weights, split.num_images)
    with progress_part(split.num_images, total, split.num_texts):
        text = _embed_all(split.texts, weights, split.num_texts)
    if not (np.isfinite(image).all() and np.isfinite(text).all()):
        raise TrialError("an embedding is not finite; lower lr, or check the model's weights")
    i2t, t2i = rank_pairs(image, text, split.owner, split.row, ties=trial.params.ties)
    num_images, num_captions = len(i2t.rank), len(t2i.rank)
    samples: dict[str, Any] = {
        "direction": ["i2t"] * num_images + ["t2i"] * num_captions,
        "query": [*range(num_images), *range(num_captions)],
        "rank": np.concatenate([i2t.rank, t2i.rank]).tolist(),
    }
    for k in CUTOFFS:
        samples[f"hit{k}"] = np.concatenate([i2t.hits(k), t2i.hits(k)]).tolist()
    if done:
        rank = np.asarray(samples["rank"])
        samples |= ranked_samples(split, image, text, rank, trial.params.ties)
    return dict(recalls(i2t, t2i)), samples


def _embed_all(
    embed: Callable[[dict[str, Tensor], Tensor], Tensor], weights: dict[str, Tensor], number: int
) -> np.ndarray[Any, Any]:
    chunks = []
    for first in range(0, number, CHUNK):
        check_interrupt()
        report_progress(first, number)
        rows = torch.arange(first, min(first + CHUNK, number))
        chunks.append(embed(weights, rows).cpu().numpy())
    return np.concatenate(chunks)
