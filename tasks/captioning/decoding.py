"""Decode captions of encoded images with many decoding configs at once.

Configs with the same prompt are decoded together. The prompt is read once per image, each step
reads one token of every row, and rows that have ended leave the batch. Random numbers depend only
on (seed, image, step), so a caption does not depend on what else is in the batch, and configs with
the same seed use the same random numbers.

N images, K configs, R = N K rows, V vocabulary, T steps
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tasks.captioning.decoder import CrossAttentionCache, DecoderState
from tasks.captioning.filters import (
    FILTERS,
    TOP_H_CANDIDATES,
    ban_repeats,
    filter_tokens,
    limit_entropy,
)
from tasks.interrupt import check_interrupt
from tasks.progress import report_progress

LAB_BATCH = 16  # the lab's batch size, which matters for ``continue_after_eos``
COMPACTION = 8  # remove ended rows once they are an eighth, because removal copies the cache


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodingConfig:
    """How to choose the tokens of a caption; greedy if ``temperature`` is None."""

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_length: int = 0
    max_length: int = 30
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int | None = None
    top_h: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    epsilon_cutoff: float | None = None
    eta_cutoff: float | None = None
    seed: int = 0
    sample: int = 0  # the number of the caption, of several for one image
    continue_after_eos: bool = False  # until the whole batch of the lab has ended


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """The ids of the special tokens."""

    ends: tuple[int, ...]
    pad: int


def uniform_noise(
    seed: int, keys: Sequence[int], steps: int, sample: int = 0
) -> Float[np.ndarray, "N T"]:
    """Return a random number in [0, 1) per image and step, from the seed and the image's key."""
    more = [sample] if sample else []
    return np.stack([np.random.default_rng([seed, key, *more]).random(steps) for key in keys])


@torch.inference_mode()
def decode(
    decoder: Any,
    states: Float[Tensor, "N S D"],
    prompt: Sequence[int],
    keys: Sequence[int],
    configs: Sequence[DecodingConfig],
    vocabulary: Vocabulary,
) -> list[Int[np.ndarray, "N T"]]:
    """Return the tokens after the prompt for each config: up to the end token, then padding.

    ``keys`` seed the random numbers of the images. With ``continue_after_eos``, the images must be
    in the lab's order and form whole batches, and the tokens after the end token are kept.
    """
    num_images, num_configs = len(states), len(configs)
    max_length = max(config.max_length for config in configs)
    cache = CrossAttentionCache(decoder, states)
    device = states.device
    state = DecoderState(decoder, cache, torch.arange(num_images, device=device), max_length)
    start = torch.tensor(list(prompt), device=device).expand(num_images, -1)
    logits = state.advance(start).float().repeat_interleave(num_configs, 0)
    state.repeat(num_configs)
    sampler = TokenSampler(configs, num_images, keys, start, max_length, vocabulary, device)
    tokens = torch.full((num_images * num_configs, max_length - len(prompt)), vocabulary.pad)
    tokens = tokens.to(device)
    rows = torch.arange(len(tokens), device=device)  # indices of the rows that are in the batch
    alive = torch.ones(len(rows), dtype=torch.bool, device=device)
    while True:
        check_interrupt()
        report_progress(state.length - len(prompt), max_length - len(prompt))
        chosen = sampler.sample(logits, rows, state.length)
        chosen = torch.where(alive, chosen, vocabulary.pad)
        tokens[rows, state.length - len(prompt)] = chosen
        alive &= ~sampler.has_ended(chosen, rows, alive, state.length + 1)
        num_alive = int(alive.sum())  # all that a step waits for the device to know
        if not num_alive:
            break
        if (len(rows) - num_alive) * COMPACTION >= len(rows):
            kept = alive.nonzero()[:, 0]
            state.keep(kept)
            rows, chosen, alive = rows[kept], chosen[kept], alive[kept]
        logits = state.advance(chosen[:, None]).float()
    ids = tokens.reshape(num_images, num_configs, -1).cpu().numpy()
    return [ids[:, k] for k in range(num_configs)]


class TokenSampler:
    """Samples the next token of each row by its config, and finds the rows that have ended."""

    def __init__(
        self,
        configs: Sequence[DecodingConfig],
        num_images: int,
        keys: Sequence[int],
        start: Tensor | None,
        max_length: int,
        vocabulary: Vocabulary,
        device: torch.device,
    ) -> None:
        self._ends, self._filler = torch.tensor(vocabulary.ends, device=device), vocabulary.ends[0]

        def per_row(values: Sequence[float | int | bool]) -> Tensor:
            return torch.tensor(values, device=device).repeat(num_images)

        self._min_length = per_row([c.min_length for c in configs])
        self._longest_minimum = max(c.min_length for c in configs)
        self._max_length = per_row([c.max_length for c in configs])
        self._is_sampled = per_row([c.temperature is not None for c in configs])
        self._temperature = per_row([float(c.temperature or 1.0) for c in configs])
        self._top_k = per_row([c.top_k or 0 for c in configs])
        self._top_p = per_row([float(c.top_p or 1.0) for c in configs])
        self._penalty = per_row([float(c.repetition_penalty) for c in configs])
        self._has_penalty = any(c.repetition_penalty != 1.0 for c in configs)
        sizes = [c.no_repeat_ngram_size or 0 for c in configs]
        self._ngram_sizes, self._distinct_sizes = per_row(sizes), set(sizes) - {0}
        self._has_top_h = any(c.top_h is not None for c in configs)
        self._top_h = per_row([2.0 if c.top_h is None else c.top_h for c in configs])  # 2: all
        self._limits: dict[str, Tensor] = {}  # of the filters that a config uses
        for name, (_, neutral) in FILTERS.items():
            given = [getattr(c, name) for c in configs]
            if any(limit is not None for limit in given):
                self._limits[name] = per_row([neutral if n is None else n for n in given])
        self._continues = per_row([c.continue_after_eos for c in configs])
        self._any_continues = any(c.continue_after_eos for c in configs)
        drawn = {
            (c.seed, c.sample): uniform_noise(c.seed, keys, max_length, c.sample)
            for c in configs
            if c.temperature
        }
        unused = np.zeros((num_images, max_length))  # of greedy configs
        noise = np.stack([drawn.get((c.seed, c.sample), unused) for c in configs], axis=1)
        self._noise = torch.from_numpy(noise).flatten(0, 1).to(device)
        self._previous: Tensor | None = None  # the tokens of each row, if they are needed
        if start is not None and (self._has_penalty or self._distinct_sizes):
            self._previous = start.repeat_interleave(len(configs), 0)
        # The lab's batch of each row [R], for each config separately.
        image = torch.arange(num_images, device=device).repeat_interleave(len(configs))
        config = torch.arange(len(configs), device=device).repeat(num_images)
        self._batch = (image // LAB_BATCH) * len(configs) + config
        self._num_batches = (num_images // LAB_BATCH + 1) * len(configs)
        self._open = torch.ones(num_images * len(configs), dtype=torch.bool, device=device)
        self._grouped: tuple[Tensor | None, list[tuple[Tensor, int]]] = (None, [])

    def sample(
        self,
        logits: Float[Tensor, "R V"],
        rows: Int[Tensor, " R"],
        length: int,
        previous: Int[Tensor, "R L"] | None = None,
    ) -> Int[Tensor, " R"]:
        """Return the next token of each row, after ``length`` tokens.

        ``previous`` are the tokens of each row so far, negative where a prompt is padded. A sampler
        with ``start`` remembers them.
        """
        previous = previous if self._previous is None else self._previous[rows]
        if previous is not None:
            logits = self._penalize(logits, rows, previous)
        if length < self._longest_minimum:
            early = (self._min_length[rows] > length)[:, None]
            logits = logits.clone()
            logits[:, self._ends] = logits[:, self._ends].masked_fill(early, float("-inf"))
        chosen = logits.argmax(dim=1)
        for sampled, widest in self._groups(rows):
            chosen[sampled] = self._sample(logits[sampled], rows[sampled], length, widest)
        if self._previous is not None:
            column = self._previous.new_full((len(self._previous), 1), self._filler)
            column[rows, 0] = chosen
            self._previous = torch.cat([self._previous, column], dim=1)
        return chosen

    def _groups(self, rows: Tensor) -> list[tuple[Tensor, int]]:
        """Return the places of sampled rows, and the largest k: for the top k, and without k.

        They are found once for the same ``rows``, because that waits for the device.
        """
        if self._grouped[0] is not rows:
            top_k, groups = self._top_k[rows], []
            for sorts_all in (False, True):  # the top k tokens, or all of them if k is not set
                is_sampled = self._is_sampled[rows] & ((top_k == 0) == sorts_all)
                sampled = is_sampled.nonzero()[:, 0]
                if len(sampled):
                    groups.append((sampled, int(top_k[sampled].max())))
            self._grouped = (rows, groups)
        return self._grouped[1]

    def _penalize(self, logits: Tensor, rows: Tensor, previous: Tensor) -> Tensor:
        if self._has_penalty:
            tokens = torch.where(previous < 0, previous[:, -1:], previous)
            old = logits.gather(1, tokens)
            factor = self._penalty[rows][:, None]
            logits = logits.scatter(1, tokens, torch.where(old < 0, old * factor, old / factor))
        if self._distinct_sizes:
            sizes = self._ngram_sizes[rows]
            logits = ban_repeats(logits, previous, sizes, self._distinct_sizes)
        return logits

    def _sample(self, logits: Tensor, rows: Tensor, length: int, widest: int) -> Tensor:
        """Sample by inverse transform over the tokens, sorted from most to least likely."""
        top_k = self._top_k[rows]
        widest = widest or logits.shape[1]
        if self._has_top_h:
            widest = max(widest, TOP_H_CANDIDATES)
        values, tokens = logits.topk(min(widest, logits.shape[1]), dim=1)
        rank = torch.arange(values.shape[1], device=values.device)
        values = values / self._temperature[rows][:, None]
        if self._has_top_h:
            values = limit_entropy(values, self._top_h[rows][:, None])
        values = values.masked_fill((top_k[:, None] > 0) & (rank >= top_k[:, None]), float("-inf"))
        probability = values.double().softmax(dim=1)
        before = probability.cumsum(dim=1) - probability
        probability = probability.masked_fill(before >= self._top_p[rows][:, None].double(), 0.0)
        if self._limits:
            limits = {name: limit[rows] for name, limit in self._limits.items()}
            probability = filter_tokens(probability, limits)
        cumulative = probability.cumsum(dim=1)
        target = self._noise[rows, length][:, None] * cumulative[:, -1:]
        index = (cumulative <= target).sum(dim=1, keepdim=True).clamp(max=values.shape[1] - 1)
        return tokens.gather(1, index)[:, 0]

    def has_ended(self, chosen: Tensor, rows: Tensor, alive: Tensor, length: int) -> Tensor:
        """Return which rows have ended, now that they have ``length`` tokens."""
        at_end = torch.isin(chosen, self._ends) & alive
        self._open[rows] &= ~at_end
        over = at_end & ~self._continues[rows]
        if self._any_continues:
            num_open = self._batch.new_zeros(self._num_batches)
            num_open.index_add_(0, self._batch, self._open.long())
            over |= self._continues[rows] & (num_open[self._batch[rows]] == 0)
        return over | (self._max_length[rows] <= length)
