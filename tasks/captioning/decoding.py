"""From encoded images to captions under many settings at once.

Settings that share a prompt are decoded side by side: the prompt is read once an image, each step
reads one token of every row, rows that have ended leave. Noise is drawn per (seed, image, step), so
a caption depends on nothing that is decoded beside it, and settings of one seed share their noise.

N images, K settings, R = N K rows, V vocabulary, P prompt's tokens (with the start), T steps
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tasks.captioning.decoder import ImageMemory, Sentences
from tasks.interrupt import check_interrupt
from tasks.progress import report_progress

LAB_BATCH = 16  # the lab's batch: with the junk, rows go on until all of it has ended
COMPACT = 8  # rows leave when an eighth of them has ended; each leave copies the cache


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """How one row of a table chooses its tokens; greedy without a temperature."""

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_length: int = 0
    max_length: int = 30
    repetition_penalty: float = 1.0
    seed: int = 0
    runs_on: bool = False  # after the end, until the lab's whole batch has ended


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """The tokens with a meaning of their own."""

    end: int
    pad: int


def uniform_noise(seed: int, keys: Sequence[int], steps: int) -> Float[np.ndarray, "N T"]:
    """One number in [0, 1) per image and step, from the seed and the image's own key alone."""
    return np.stack([np.random.default_rng([seed, key]).random(steps) for key in keys])


@torch.inference_mode()
def decode(
    decoder: Any,
    states: Float[Tensor, "N S D"],
    prompt: Sequence[int],
    keys: Sequence[int],
    settings: Sequence[Setting],
    vocabulary: Vocabulary,
) -> list[Int[np.ndarray, "N T"]]:
    """The tokens after the prompt for each setting: up to the end token, then padding.

    ``keys`` tell the images' noise apart. With ``runs_on``, images come in the lab's order and
    whole batches, and what a row says after its end is kept.
    """
    num_images, num_settings = len(states), len(settings)
    limit = max(setting.max_length for setting in settings)
    memory = ImageMemory(decoder, states)
    device = states.device
    sentences = Sentences(decoder, memory, torch.arange(num_images, device=device), limit)
    start = torch.tensor(list(prompt), device=device).expand(num_images, -1)
    logits = sentences.advance(start).float().repeat_interleave(num_settings, 0)
    sentences.repeat(num_settings)
    chooser = _Chooser(settings, num_images, keys, start, limit, vocabulary, device)
    told = torch.full((num_images * num_settings, limit - len(prompt)), vocabulary.pad)
    told = told.to(device)
    rows = torch.arange(len(told), device=device)  # those still in the batch, by their first place
    alive = torch.ones(len(rows), dtype=torch.bool, device=device)
    while True:
        check_interrupt()
        report_progress(sentences.length - len(prompt), limit - len(prompt))
        chosen = chooser.choose(logits, rows, sentences.length)
        chosen = torch.where(alive, chosen, vocabulary.pad)
        told[rows, sentences.length - len(prompt)] = chosen
        alive &= ~chooser.ended(chosen, rows, alive, sentences.length + 1)
        if not alive.any():
            break
        if int((~alive).sum()) * COMPACT >= len(rows):
            kept = alive.nonzero()[:, 0]
            sentences.keep(kept)
            rows, chosen, alive = rows[kept], chosen[kept], alive[kept]
        logits = sentences.advance(chosen[:, None]).float()
    ids = told.reshape(num_images, num_settings, -1).cpu().numpy()
    return [ids[:, k] for k in range(num_settings)]


class _Chooser:
    """Chooses every row's next token by its setting, and says which rows have ended."""

    def __init__(
        self,
        settings: Sequence[Setting],
        num_images: int,
        keys: Sequence[int],
        start: Tensor,
        limit: int,
        vocabulary: Vocabulary,
        device: torch.device,
    ) -> None:
        self._end, self._num_settings = vocabulary.end, len(settings)

        def per_row(values: Sequence[float | int | bool]) -> Tensor:
            return torch.tensor(values, device=device).repeat(num_images)

        self._min_length = per_row([s.min_length for s in settings])
        self._max_length = per_row([s.max_length for s in settings])
        self._draws = per_row([s.temperature is not None for s in settings])
        self._temperature = per_row([float(s.temperature or 1.0) for s in settings])
        self._top_k = per_row([s.top_k or 0 for s in settings])
        self._top_p = per_row([float(s.top_p or 1.0) for s in settings])
        self._penalty = per_row([float(s.repetition_penalty) for s in settings])
        self._penalised = any(s.repetition_penalty != 1.0 for s in settings)
        self._runs_on = per_row([s.runs_on for s in settings])
        drawn = {s.seed: uniform_noise(s.seed, keys, limit) for s in settings if s.temperature}
        nothing = np.zeros((num_images, limit))
        noise = np.stack([drawn.get(s.seed, nothing) for s in settings], axis=1)  # [N, K, T]
        self._noise = torch.from_numpy(noise).flatten(0, 1).to(device)
        self._said = start.repeat_interleave(len(settings), 0) if self._penalised else start
        # Batches of the lab, per setting: [R] -> which one a row belongs to.
        image = torch.arange(num_images, device=device).repeat_interleave(len(settings))
        setting = torch.arange(len(settings), device=device).repeat(num_images)
        self._batch = (image // LAB_BATCH) * len(settings) + setting
        self._open = torch.ones(num_images * len(settings), dtype=torch.bool, device=device)

    def choose(
        self, logits: Float[Tensor, "R V"], rows: Int[Tensor, " R"], length: int
    ) -> Int[Tensor, " R"]:
        """The next token of each row, ``length`` tokens being there already."""
        if self._penalised:
            said = self._said[rows]
            held = logits.gather(1, said)
            factor = self._penalty[rows][:, None]
            logits = logits.scatter(1, said, torch.where(held < 0, held * factor, held / factor))
        early = self._min_length[rows] > length
        if bool(early.any()):
            logits = logits.clone()
            logits[early, self._end] = float("-inf")
        chosen = logits.argmax(dim=1)
        for whole in (False, True):  # few most likely tokens, or all of them sorted
            drawing = (self._draws[rows] & ((self._top_k[rows] == 0) == whole)).nonzero()[:, 0]
            if len(drawing):
                chosen[drawing] = self._draw(logits[drawing], rows[drawing], length)
        if self._penalised:
            grown = self._said.new_full((len(self._said), 1), self._end)
            grown[rows, 0] = chosen
            self._said = torch.cat([self._said, grown], dim=1)
        return chosen

    def _draw(self, logits: Tensor, rows: Tensor, length: int) -> Tensor:
        """Inverse transform sampling over the tokens from most to least likely."""
        top_k = self._top_k[rows]
        widest = int(top_k.max()) or logits.shape[1]
        values, tokens = logits.topk(min(widest, logits.shape[1]), dim=1)
        place = torch.arange(values.shape[1], device=values.device)
        values = values / self._temperature[rows][:, None]
        values = values.masked_fill((top_k[:, None] > 0) & (place >= top_k[:, None]), float("-inf"))
        probability = values.double().softmax(dim=1)
        before = probability.cumsum(dim=1) - probability
        probability = probability.masked_fill(before >= self._top_p[rows][:, None].double(), 0.0)
        reached = probability.cumsum(dim=1)
        wanted = self._noise[rows, length][:, None] * reached[:, -1:]
        drawn = (reached <= wanted).sum(dim=1, keepdim=True).clamp(max=values.shape[1] - 1)
        return tokens.gather(1, drawn)[:, 0]

    def ended(self, chosen: Tensor, rows: Tensor, alive: Tensor, length: int) -> Tensor:
        """Which rows say no more, ``length`` tokens being there now."""
        at_end = (chosen == self._end) & alive
        self._open[rows[at_end]] = False
        over = at_end & ~self._runs_on[rows]
        if bool(self._runs_on.any()):
            waiting = torch.zeros(
                int(self._batch.max()) + 1, dtype=torch.bool, device=self._open.device
            )
            waiting[self._batch[self._open]] = True
            over |= self._runs_on[rows] & ~waiting[self._batch[rows]]
        return over | (self._max_length[rows] <= length)
