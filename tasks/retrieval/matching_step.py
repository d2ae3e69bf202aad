"""The image-text matching loss of a step, whose text encoder attends to images.

K stacked trials, B batch, S image tokens, D width, P the width of the shared space
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tasks.contract import Member
from tasks.models.heads import linear
from tasks.models.matching import attend
from tasks.retrieval.loop import read_temperatures
from tasks.retrieval.matching_loss import (
    draw_uniforms,
    has_negative,
    list_pairs,
    matching_loss,
    sample_negatives,
)
from tasks.retrieval.network_split import NetworkSplit


@dataclass(frozen=True, kw_only=True)
class MatchingStep:
    """Computes the weighted matching loss of the batches of an epoch."""

    split: NetworkSplit
    uniforms: Float[Tensor, "steps K 2 B"]  # which choose the negatives
    weights: Float[Tensor, " K"]  # of the loss
    temperatures: Callable[[dict[str, Tensor]], Float[Tensor, "K 1 1"]]

    @classmethod
    def open(
        cls,
        stack: Sequence[Member],
        epochs: Sequence[int],
        split: NetworkSplit,
        num_steps: int,
        device: str,
    ) -> MatchingStep | None:
        """Return the matching loss of an epoch, or None if the trials have none."""
        trials = [member.trial for member in stack]
        factors = [trial.params.itm_weight for trial in trials]
        if factors[0] is None:
            return None
        size = trials[0].params.batch_size
        drawn = [
            draw_uniforms(trial.seed, epoch, num_steps, size)
            for trial, epoch in zip(trials, epochs, strict=True)
        ]
        return cls(
            split=split,
            uniforms=torch.stack(drawn, dim=1).to(device),
            weights=torch.tensor(factors, device=device),
            temperatures=read_temperatures(stack, device),
        )

    def loss(
        self,
        weights: dict[str, Tensor],
        images: Float[Tensor, "K B P"],
        texts: Float[Tensor, "K B P"],
        tokens: Float[Tensor, "KB S D"],
        inputs: Mapping[str, Tensor],
        *,
        pairs: Int[Tensor, "K 2 B"],
        number: int,
    ) -> Float[Tensor, " K"]:
        """Return the loss of a step, times its weight.

        Args:
            weights: the weights of the stack, [K, ...] by name.
            images: unit vectors of the images.
            texts: unit vectors of the captions.
            tokens: the tokens of the images, of one trial after the other.
            inputs: the captions as inputs of the text encoder, in the same order.
            pairs: the indices of images and distinct captions. Equal ones are no negatives.
            number: the number of the step in the epoch, from 0.
        """
        same = (pairs[..., :, None] == pairs[..., None, :]).any(1)
        logits = images.detach() @ texts.detach().mT / self.temperatures(weights)
        negatives = sample_negatives(logits, same, self.uniforms[number])
        size, batch = same.shape[:2]
        first = batch * torch.arange(size, device=pairs.device)[:, None, None]
        image, text = (list_pairs(negatives) + first).unbind(1)  # of all trials
        rows = text.flatten()
        states = attend(
            self.split.dual,
            tokens[image.flatten()],
            {name: value.to(rows.device)[rows] for name, value in inputs.items()},
        )
        found = linear(
            states.reshape(size, -1, states.shape[-1]),
            weights["matching.weight"],
            weights["matching.bias"],
        )
        return self.weights * matching_loss(found, has_negative(same))
