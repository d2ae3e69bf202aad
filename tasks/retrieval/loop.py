"""Parts of an epoch that stacks of heads and single networks share.

K members of a stack, B batch, P the width of the shared space
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from tasks.arrays import select
from tasks.contract import Member, State, Trial, TrialError
from tasks.retrieval.embedding import Embedder
from tasks.retrieval.losses import contrastive_loss, sigmoid_loss
from tasks.retrieval.pairs import draw_pairs
from tasks.stacks import check_losses


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


def group_schedules(
    stack: Sequence[Member], epochs: Sequence[int]
) -> dict[tuple[float, float | None, float, int, int], list[int]]:
    """Group members' indices by learning rate, warm-up ratio, weight decay, epochs and epoch."""
    found: dict[tuple[float, float | None, float, int, int], list[int]] = {}
    for index, (member, epoch) in enumerate(zip(stack, epochs, strict=True)):
        params = member.trial.params
        key = (params.lr, params.warmup_ratio, params.weight_decay, params.epochs, epoch)
        found.setdefault(key, []).append(index)
    return found


def make_state(
    index: int,
    epoch: int,
    losses: Tensor,
    parts: dict[str, dict[str, Tensor]],
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
