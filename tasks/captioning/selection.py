"""Select the tokens of ``generate`` with a ``TokenSampler``, for any model of transformers.

``generate`` sees scores in which one token is left, so it has nothing to choose. The random numbers
of a row therefore depend only on (seed, image, step), and each row has its own settings.

R rows, V vocabulary, L tokens so far, T new tokens
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import LogitsProcessor, StoppingCriteria

from tasks.captioning.decoding import TokenSampler
from tasks.interrupt import check_interrupt
from tasks.progress import report_progress


class SelectToken(LogitsProcessor):  # type: ignore[misc]
    """Leaves the token that the sampler chooses for each row, and collects it in ``tokens``.

    A row that has ended gets padding. ``mask`` [R, L] is zero where a prompt is padded on the left.
    """

    def __init__(
        self,
        sampler: TokenSampler,
        num_rows: int,
        max_length: int,
        pad: int,
        device: torch.device,
        mask: Int[Tensor, "R L"] | None = None,
    ) -> None:
        self._sampler, self._pad, self._max_length = sampler, pad, max_length
        self._mask = None if mask is None or bool(mask.all()) else mask.bool()
        self._rows = torch.arange(num_rows, device=device)
        self.alive = torch.ones(num_rows, dtype=torch.bool, device=device)
        self.tokens: Int[Tensor, "R T"] = torch.full((num_rows, max_length), pad, device=device)
        self._length = 0  # new tokens so far

    def __call__(
        self, input_ids: Int[Tensor, "R L"], scores: Float[Tensor, "R V"]
    ) -> Float[Tensor, "R V"]:
        """Return scores of minus infinity, except for the chosen token of each row."""
        check_interrupt()
        report_progress(self._length, self._max_length)
        if self._mask is not None:  # the padding depends on the rest of the batch
            length = self._mask.shape[1]
            prompt = input_ids[:, :length].masked_fill(~self._mask, -1)
            input_ids = torch.cat([prompt, input_ids[:, length:]], dim=1)
        chosen = self._sampler.sample(scores, self._rows, self._length, input_ids)
        chosen = torch.where(self.alive, chosen, self._pad)
        self.tokens[:, self._length] = chosen
        self._length += 1
        self.alive &= ~self._sampler.has_ended(chosen, self._rows, self.alive, self._length)
        left = torch.full_like(scores, float("-inf"))
        return left.scatter(1, chosen[:, None], 0.0)


class AllEnded(StoppingCriteria):  # type: ignore[misc]
    """Ends the rows that the selection has ended."""

    def __init__(self, selection: SelectToken) -> None:
        self._selection = selection

    def __call__(self, input_ids: Tensor, scores: Any, **options: Any) -> Tensor:
        """Return which rows have ended."""
        return ~self._selection.alive


class CountPrompt(LogitsProcessor):  # type: ignore[misc]
    """Changes nothing; ``length`` is the number of tokens before the first new one."""

    length: int | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the scores as they are."""
        if self.length is None:
            self.length = int(input_ids.shape[1])
        return scores
