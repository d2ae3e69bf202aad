"""Parts of an epoch that stacks of heads and single networks share.

K members of a stack, B batch, P the width of the shared space
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from tasks.arrays import select
from tasks.contract import Member, State, Trial, TrialError
from tasks.retrieval.embedding import Embedder
from tasks.retrieval.losses import contrastive_loss, sigmoid_loss
from tasks.retrieval.optimizer import adamw_step, clamp_temperature
from tasks.retrieval.pairs import draw_pairs
from tasks.schedules import learning_rate
from tasks.stacks import check_losses

Parts = dict[str, dict[str, Tensor]]
TRAINED = ("weight", "mean", "square")  # the parts of a state that training changes


def part_of(state: State, part: str) -> dict[str, Tensor]:
    """Return one part of a state by name: weight, mean, square or constant."""
    return dict(sorted(select(state.arrays, f"{part}.").items()))


def stack_part(stack: Sequence[Member], part: str) -> dict[str, Tensor]:
    """Stack a part of the members' states, [K, ...] by name."""
    each = [part_of(member.state, part) for member in stack]
    return {name: torch.stack([arrays[name] for arrays in each]) for name in each[0]}


def draw_epoch(split: Embedder, trial: Trial, epoch: int) -> Tensor:
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


def read_temperatures(
    stack: Sequence[Member], device: str
) -> Callable[[dict[str, Tensor]], Float[Tensor, "K 1 1"]]:
    """Return the function that takes a stack's weights [K, ...] and returns its temperatures."""
    fixed = torch.tensor([m.trial.params.temperature for m in stack], device=device)

    def read(weights: dict[str, Tensor]) -> Tensor:
        log = weights.get("log_temperature")
        return (fixed if log is None else log.exp())[:, None, None]

    return read


def make_loss(
    stack: Sequence[Member], device: str
) -> Callable[[dict[str, Tensor], Tensor, Tensor, Tensor], Float[Tensor, " K"]]:
    """Return the loss of a stack's members.

    It is a function of their weights, of vectors of images and texts [K, B, P], and of the indices
    of the images [K, B].
    """
    params = [member.trial.params for member in stack]
    temperatures = read_temperatures(stack, device)
    is_sigmoid = params[0].loss == "sigmoid"
    biases = torch.tensor([each.bias for each in params], device=device) if is_sigmoid else None

    def loss_of(weights: dict[str, Tensor], images: Tensor, texts: Tensor, rows: Tensor) -> Tensor:
        # Only with all pairs can a batch contain an image twice.
        same = rows[:, :, None] == rows[:, None] if params[0].pairs == "all" else None
        temperature = temperatures(weights)
        if biases is None:
            return contrastive_loss(images, texts, temperature, same)
        bias = weights.get("logit_bias", biases)[:, None, None]
        return sigmoid_loss(images, texts, temperature, bias, same)

    return loss_of


def make_update(
    stack: Sequence[Member],
    epochs: Sequence[int],
    parts: Parts,
    num_steps: int,
    scales: Mapping[float, Sequence[str]] | None = None,
) -> Callable[[Sequence[Tensor | None], int], None]:
    """Return a function that updates the weights of a stack in place.

    It takes the gradient [K, ...] of each weight, and the number of the step in the epoch, from 0.

    Args:
        stack: the members.
        epochs: the epoch of each member, from 1.
        parts: weights and moments of the stack, [K, ...] by name.
        num_steps: the number of steps of an epoch.
        scales: the names of weights by the factor of their learning rate; None: 1 for all.
    """
    weights, means, squares = (parts[part] for part in TRAINED)
    schedules: dict[tuple[float, float | None, float, int, int], list[int]] = {}
    for index, (member, epoch) in enumerate(zip(stack, epochs, strict=True)):
        params = member.trial.params
        key = (params.lr, params.warmup_ratio, params.weight_decay, params.epochs, epoch)
        schedules.setdefault(key, []).append(index)

    def update(gradients: Sequence[Tensor | None], number: int) -> None:
        by_name = dict(zip(weights, gradients, strict=True))
        for (initial_lr, ratio, decay, num_epochs, epoch), indices in schedules.items():
            step = (epoch - 1) * num_steps + number
            lr = learning_rate(initial_lr, ratio, step, num_epochs * num_steps)
            for scale, names in (scales or {1.0: list(weights)}).items():
                own = {name: weights[name] for name in names}
                grads = [by_name[name] for name in names]
                adamw_step(indices, own, grads, (means, squares), scale * lr, decay, step + 1)
        if stack[0].trial.params.loss != "sigmoid":  # SigLIP's temperature has no bound
            clamp_temperature(weights)

    return update


def make_state(
    index: int,
    epoch: int,
    losses: Tensor,
    parts: Parts,
    constants: dict[str, Tensor],
) -> tuple[State, float] | TrialError:
    """Return a member's state after an epoch and its mean loss, or the error of its losses.

    Args:
        index: the member's place in the stack.
        epoch: the epoch, from 1.
        losses: the member's losses, [steps].
        parts: weights and moments of the stack, [K, ...] by name.
        constants: the constants of the heads.
    """
    error = check_losses(losses, epoch)
    if error is not None:
        return error
    arrays: dict[str, Any] = {
        f"{part}.{name}": _take(value.detach(), index)
        for part, values in parts.items()
        for name, value in values.items()
    }
    arrays |= {f"constant.{name}": value for name, value in constants.items()}
    return State(arrays=arrays, values={"epoch": epoch}), float(losses.mean())


def _take(value: Tensor, index: int) -> Tensor:
    """Return a member's part of a stack; a copy, so that it does not keep the stack in memory."""
    return value[0] if len(value) == 1 else value[index].clone()
