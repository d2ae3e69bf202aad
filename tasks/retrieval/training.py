"""Finetuning by symmetric cross-entropy: one epoch of one trial, and its evaluation.

B batch, C captions, P the width of the shared space
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tasks.contract import Inputs, State, Step, Trial, TrialError
from tasks.models import heads
from tasks.retrieval import stages
from tasks.retrieval.embedding import Embedder, backbone_weights, open_split
from tasks.retrieval.ranks import rank_pairs, recalls

MIN_TEMPERATURE = 0.01  # CLIP clamps the logit scale at 100 (Radford et al. 2021, 2.5)
CHUNK = 256  # rows embedded at a time for an evaluation
BETAS, EPSILON = (0.9, 0.999), 1e-8  # AdamW's defaults, as in the protocol


def start(trial: Trial, inputs: Inputs, device: str) -> State:
    """Heads from the checkpoint, or random by the seed alone; no moments yet."""
    weights, constants = _initial_heads(trial, inputs[stages.heads_stage(trial)])
    weights = {name: value.to(device) for name, value in weights.items()}
    if trial.params.trainable == "full":
        weights |= backbone_weights(trial, device)
    if trial.params.learn_temperature:
        weights["log_temperature"] = torch.tensor(math.log(trial.params.temperature)).to(device)
    arrays = {f"weight.{name}": value for name, value in weights.items()}
    arrays |= {f"mean.{name}": torch.zeros_like(value) for name, value in weights.items()}
    arrays |= {f"square.{name}": torch.zeros_like(value) for name, value in weights.items()}
    arrays |= {f"constant.{name}": value for name, value in constants.items()}
    return State(arrays=arrays, values={"epoch": 0})


def _initial_heads(trial: Trial, found: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The heads' weights, and the constants that belong to them."""
    params = trial.params
    if params.head != "own":
        shapes = {
            f"{side}.{name}": shape
            for side, width in zip(("image", "text"), found["widths"].tolist(), strict=True)
            for name, shape in heads.new_shapes(params.head, width, params.embed_dim).items()
        }
        return heads.draw(shapes, trial.seed), {}
    own = {name: torch.tensor(value) for name, value in found.items() if name != "widths"}
    constants = {k: v for k, v in own.items() if k.endswith(heads.CONSTANTS)}
    weights = {k: v for k, v in own.items() if k not in constants}
    if params.start == "random":
        weights = heads.draw({k: tuple(v.shape) for k, v in weights.items()}, trial.seed)
    return weights, constants


def contrastive_loss(
    image: Float[Tensor, "B P"], text: Float[Tensor, "B P"], temperature: Tensor | float
) -> Float[Tensor, ""]:
    """Symmetric cross-entropy over the batch (InfoNCE both ways, Radford et al. 2021, fig. 3)."""
    logits = image @ text.T / temperature
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def advance(trial: Trial, state: State, inputs: Inputs, device: str) -> tuple[State, Step]:
    """One epoch and its evaluation; with no epochs at all, the evaluation alone."""
    epochs = trial.params.epochs
    metrics: dict[str, float] = {}
    if epochs:
        state, metrics["loss"] = _train_epoch(trial, state, inputs, device)
    weights = {**_part(state, "weight"), **_part(state, "constant")}
    scores, samples = _evaluate(
        weights, open_split(trial, trial.params.split, None, inputs, device)
    )
    epoch = state.values["epoch"]
    return state, Step(
        at=epoch, metrics={**metrics, **scores}, samples=samples, done=epoch >= epochs
    )


def _part(state: State, part: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(f"{part}."): value
        for name, value in sorted(state.arrays.items())
        if name.startswith(f"{part}.")
    }


def _train_epoch(trial: Trial, state: State, inputs: Inputs, device: str) -> tuple[State, float]:
    params, epoch = trial.params, state.values["epoch"] + 1
    split = open_split(trial, "train", stages.training_draw(trial, epoch), inputs, device)
    pairs = _pairs(split, trial.seed, epoch, params.batch_size).to(device)
    constants = _part(state, "constant")
    weights, means, squares = (
        {name: value.clone() for name, value in _part(state, part).items()}
        for part in ("weight", "mean", "square")
    )
    for value in weights.values():
        value.requires_grad_(True)
    total = params.epochs * len(pairs)
    losses = []
    for number, batch in enumerate(pairs):
        step = (epoch - 1) * len(pairs) + number
        temperature = _temperature(weights, params.temperature)
        known = {**weights, **constants}
        loss = contrastive_loss(
            split.images(known, batch[0]), split.texts(known, batch[1]), temperature
        )
        gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        losses.append(loss.detach())
        lr = params.lr * (1 - step / total)
        _adamw(weights, gradients, means, squares, lr, params.weight_decay, step + 1)
    mean = float(torch.stack(losses).mean())
    if not math.isfinite(mean):
        first = next(i for i, loss in enumerate(losses) if not math.isfinite(float(loss)))
        raise TrialError(f"the loss is not finite at epoch {epoch}, step {first}: lower lr")
    arrays: dict[str, Any] = {f"weight.{k}": v.detach() for k, v in weights.items()}
    arrays |= {f"mean.{k}": v for k, v in means.items()}
    arrays |= {f"square.{k}": v for k, v in squares.items()}
    arrays |= {f"constant.{k}": v for k, v in constants.items()}
    return State(arrays=arrays, values={"epoch": epoch}), mean


def _temperature(weights: dict[str, Tensor], fixed: float) -> Tensor | float:
    if "log_temperature" in weights:
        return weights["log_temperature"].exp().clamp(min=MIN_TEMPERATURE)
    return fixed


def _pairs(split: Embedder, seed: int, epoch: int, batch_size: int) -> Tensor:
    """Rows (image, caption) of an epoch, [steps, 2, B]: each image once, one of its captions."""
    rng = np.random.default_rng([seed, epoch])
    counts = np.bincount(split.owner)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    chosen = split.row[first + rng.integers(counts)]
    order = rng.permutation(len(counts))
    num_steps = len(order) // batch_size
    if num_steps == 0:
        raise TrialError(
            f"`batch_size <= training images` must hold, but got {batch_size} > {len(order)}"
        )
    kept = order[: num_steps * batch_size].reshape(num_steps, batch_size)
    return torch.from_numpy(np.stack([kept, chosen[kept]], axis=1))


@torch.no_grad()
def _adamw(
    weights: dict[str, Tensor],
    gradients: tuple[Tensor | None, ...],
    means: dict[str, Tensor],
    squares: dict[str, Tensor],
    lr: float,
    weight_decay: float,
    step: int,
) -> None:
    """One step of AdamW in place (Loshchilov and Hutter 2019, alg. 2); ``step`` counts from 1.

    A weight without a gradient (a pooler that nothing reads) stays as it is.
    """
    used = [name for name, each in zip(weights, gradients, strict=True) if each is not None]
    values, m, v = ([part[name] for name in used] for part in (weights, means, squares))
    slopes = [each for each in gradients if each is not None]
    torch._foreach_mul_(values, 1 - lr * weight_decay)
    torch._foreach_lerp_(m, slopes, 1 - BETAS[0])
    torch._foreach_mul_(v, BETAS[1])
    torch._foreach_addcmul_(v, slopes, slopes, 1 - BETAS[1])
    root = torch._foreach_sqrt(v)
    torch._foreach_div_(root, math.sqrt(1 - BETAS[1] ** step))
    torch._foreach_add_(root, EPSILON)
    torch._foreach_addcdiv_(values, m, root, -lr / (1 - BETAS[0] ** step))


@torch.no_grad()
def _evaluate(
    weights: dict[str, Tensor], split: Embedder
) -> tuple[dict[str, float], dict[str, Any]]:
    image = _embed_all(split.images, weights, split.num_images)
    text = _embed_all(split.texts, weights, split.num_texts)
    i2t, t2i = rank_pairs(image, text[split.row], split.owner)
    samples = {
        "direction": ["i2t"] * len(i2t) + ["t2i"] * len(t2i),
        "query": [*range(len(i2t)), *range(len(t2i))],
        "rank": np.concatenate([i2t, t2i]).tolist(),
    }
    return dict(recalls(i2t, t2i)), samples


def _embed_all(
    embed: Callable[[dict[str, Tensor], Tensor], Tensor], weights: dict[str, Tensor], number: int
) -> np.ndarray[Any, Any]:
    chunks = (torch.arange(i, min(i + CHUNK, number)) for i in range(0, number, CHUNK))
    return np.concatenate([embed(weights, rows).cpu().numpy() for rows in chunks])
