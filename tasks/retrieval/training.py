"""Two projection heads over frozen features, trained by symmetric cross-entropy.

B batch, D a backbone's width, P the width of the shared space
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tasks.contract import Inputs, State, Step, Trial, TrialError
from tasks.retrieval import stages
from tasks.retrieval.ranks import rank_pairs, recalls

MIN_TEMPERATURE = 0.01  # CLIP clamps the logit scale at 100 (Radford et al. 2021, 2.5)
BETAS, EPSILON = (0.9, 0.999), 1e-8  # AdamW's defaults, as in the protocol


def start(trial: Trial, inputs: Inputs, device: str) -> State:
    """Heads from the checkpoint, or random by the seed alone; no moments yet."""
    heads = inputs[stages.heads_stage(trial)]
    weights = {name: torch.tensor(value, device=device) for name, value in heads.items()}
    if trial.params.start == "random":
        weights = _random_like(heads, trial.seed, device)
    if trial.params.learn_temperature:
        weights["log_temperature"] = torch.tensor(math.log(trial.params.temperature)).to(device)
    arrays = {f"weight.{name}": value for name, value in weights.items()}
    arrays |= {f"mean.{name}": torch.zeros_like(value) for name, value in weights.items()}
    arrays |= {f"square.{name}": torch.zeros_like(value) for name, value in weights.items()}
    return State(arrays=arrays, values={"epoch": 0})


def _random_like(heads: Any, seed: int, device: str) -> dict[str, Tensor]:
    """``nn.Linear``'s own initialisation, drawn on the CPU so that devices agree."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {}
    for name in sorted(heads):
        side = name.split(".")[0]
        bound = 1 / math.sqrt(heads[f"{side}.weight"].shape[1])
        value = torch.empty(heads[name].shape).uniform_(-bound, bound, generator=generator)
        drawn[name] = value.to(device)
    return drawn


def project(
    weights: dict[str, Tensor], side: str, features: Float[Tensor, "B D"]
) -> Float[Tensor, "B P"]:
    """A side's features in the shared space, unit length."""
    projected = F.linear(features, weights[f"{side}.weight"], weights.get(f"{side}.bias"))
    return F.normalize(projected, dim=-1)


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
    weights = _part(state, "weight")
    scores, samples = _evaluate(trial, weights, inputs)
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
    images = _tensor(inputs[stages.train_images_stage(trial, epoch)]["features"], device)
    texts = inputs[stages.texts_stage(trial, "train")]
    features = _tensor(texts["features"], device)
    pairs = _pairs(texts, trial.seed, epoch, params.batch_size).to(device)
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
        loss = contrastive_loss(
            project(weights, "image", images[batch[0]]),
            project(weights, "text", features[batch[1]]),
            temperature,
        )
        gradients = torch.autograd.grad(loss, list(weights.values()))
        losses.append(loss.detach())
        _adamw(
            weights, gradients, means, squares, params.lr * (1 - step / total),
            params.weight_decay, step + 1,
        )  # fmt: skip
    mean = float(torch.stack(losses).mean())
    if not math.isfinite(mean):
        first = next(i for i, loss in enumerate(losses) if not math.isfinite(float(loss)))
        raise TrialError(f"the loss is not finite at epoch {epoch}, step {first}: lower lr")
    arrays: dict[str, Any] = {f"weight.{k}": v.detach() for k, v in weights.items()}
    arrays |= {f"mean.{k}": v for k, v in means.items()}
    arrays |= {f"square.{k}": v for k, v in squares.items()}
    return State(arrays=arrays, values={"epoch": epoch}), mean


def _temperature(weights: dict[str, Tensor], fixed: float) -> Tensor | float:
    if "log_temperature" in weights:
        return weights["log_temperature"].exp().clamp(min=MIN_TEMPERATURE)
    return fixed


def _pairs(texts: Any, seed: int, epoch: int, batch_size: int) -> Tensor:
    """Rows (image, caption) of an epoch, [steps, 2, B]: each image once, one of its captions."""
    rng = np.random.default_rng([seed, epoch])
    counts = np.bincount(texts["owner"])
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    chosen = texts["row"][first + rng.integers(counts)]
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
    gradients: tuple[Tensor, ...],
    means: dict[str, Tensor],
    squares: dict[str, Tensor],
    lr: float,
    weight_decay: float,
    step: int,
) -> None:
    """One step of AdamW in place (Loshchilov and Hutter 2019, alg. 2); ``step`` counts from 1."""
    values, m, v = list(weights.values()), list(means.values()), list(squares.values())
    torch._foreach_mul_(values, 1 - lr * weight_decay)
    torch._foreach_lerp_(m, list(gradients), 1 - BETAS[0])
    torch._foreach_mul_(v, BETAS[1])
    torch._foreach_addcmul_(v, list(gradients), list(gradients), 1 - BETAS[1])
    root = torch._foreach_sqrt(v)
    torch._foreach_div_(root, math.sqrt(1 - BETAS[1] ** step))
    torch._foreach_add_(root, EPSILON)
    torch._foreach_addcdiv_(values, m, root, -lr / (1 - BETAS[0] ** step))


def _tensor(array: np.ndarray[Any, Any], device: str) -> Tensor:
    # from_dlpack reads a read-only array without a copy and without a warning.
    return torch.from_dlpack(array).to(device)


@torch.no_grad()
def _evaluate(
    trial: Trial, weights: dict[str, Tensor], inputs: Inputs
) -> tuple[dict[str, float], dict[str, Any]]:
    split = trial.params.split
    texts = inputs[stages.texts_stage(trial, split)]
    images = inputs[stages.images_stage(trial, split)]["features"]
    device = str(next(iter(weights.values())).device)
    detached = {name: value.detach() for name, value in weights.items()}
    image = project(detached, "image", _tensor(images, device)).cpu().numpy()
    text = project(detached, "text", _tensor(texts["features"], device)).cpu().numpy()
    owner = texts["owner"]
    i2t, t2i = rank_pairs(image, text[texts["row"]], owner)
    samples = {
        "direction": ["i2t"] * len(i2t) + ["t2i"] * len(t2i),
        "query": [*range(len(i2t)), *range(len(t2i))],
        "rank": np.concatenate([i2t, t2i]).tolist(),
    }
    return dict(recalls(i2t, t2i)), samples
