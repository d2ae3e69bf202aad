"""Filters of next tokens, compared with the processors of transformers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LogitsProcessorList
from transformers.generation.logits_process import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    MinPLogitsWarper,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopHLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from tasks.captioning.decoding import DecodingConfig, TokenSampler, Vocabulary
from tasks.captioning.filters import FILTERS, ban_repeats
from tasks.captioning.params import FILTER_NAMES

TOKENS, DRAWS, TEMPERATURE = 150, 2000, 0.8
WARPERS: dict[str, Any] = {
    "top_h": TopHLogitsWarper,
    "top_k": TopKLogitsWarper,
    "top_p": TopPLogitsWarper,
    "min_p": MinPLogitsWarper,
    "typical_p": TypicalLogitsWarper,
    "epsilon_cutoff": EpsilonLogitsWarper,
    "eta_cutoff": EtaLogitsWarper,
}


def allowed(logits: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
    """The tokens [R, V] that ``generate`` can sample; it applies the options in this order."""
    named = [warper(options[name]) for name, warper in WARPERS.items() if name in options]
    warpers = LogitsProcessorList([TemperatureLogitsWarper(TEMPERATURE), *named])
    return warpers(torch.zeros(len(logits), 1, dtype=torch.long), logits).isfinite()


def draw(logits: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
    """Tokens [R, DRAWS] of rows that share a pack with rows without these options."""
    configs = [
        DecodingConfig(temperature=1.0, seed=1),
        DecodingConfig(temperature=TEMPERATURE, **options),
        DecodingConfig(),
    ]
    vocabulary = Vocabulary(ends=(0,), pad=0)
    device = torch.device("cpu")
    found = []
    for row in logits:
        sampler = TokenSampler(configs, DRAWS, range(DRAWS), None, 4, vocabulary, device)
        rows = torch.arange(DRAWS * len(configs))
        chosen = sampler.sample(row.expand(len(rows), -1).clone(), rows, 2)
        found.append(chosen.reshape(DRAWS, -1)[:, 1])
    return torch.stack(found)


@pytest.mark.parametrize(
    "options",
    [
        {"top_h": 0.4},
        {"min_p": 0.2},
        {"typical_p": 0.5},
        {"epsilon_cutoff": 0.02},
        {"eta_cutoff": 0.05},
        {"top_h": 0.8, "top_k": 20, "min_p": 0.05},
        {"top_k": 30, "top_p": 0.9, "typical_p": 0.6, "eta_cutoff": 0.01},
    ],
    ids=str,
)
def test_sampled_tokens_are_those_that_generate_allows(options: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(4, TOKENS, generator=generator)
    for row, drawn, kept in zip(
        logits, draw(logits, options), allowed(logits, options), strict=True
    ):
        assert kept[drawn].all()
        probability = (row / TEMPERATURE).masked_fill(~kept, float("-inf")).softmax(0)
        likely = probability > 10 / DRAWS
        assert likely.sum() >= 1
        assert set(likely.nonzero()[:, 0].tolist()) <= set(drawn.tolist())
        frequency = (drawn[:, None] == torch.arange(TOKENS)).double().mean(0)
        error = (probability * (1 - probability) / DRAWS).sqrt()
        assert ((frequency - probability).abs() <= 5 * error + 1e-9).all()


def test_every_filter_has_a_parameter() -> None:
    assert set(FILTER_NAMES) == {"top_h", *FILTERS}


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_repeats_are_banned_as_in_generate(size: int) -> None:
    previous = torch.tensor([[5, 6, 7, 5, 6], [1, 1, 1, 1, 1], [1, 2, 3, 4, 5]])
    logits = torch.zeros(3, 10)
    found = ban_repeats(logits, previous, torch.full((3,), size), [size])
    assert torch.equal(found, NoRepeatNGramLogitsProcessor(size)(previous, logits.clone()))
    assert (logits == 0).all()  # the input is unchanged


def test_padding_before_a_prompt_bans_and_penalizes_nothing() -> None:
    logits, device = torch.randn(1, 10), torch.device("cpu")
    plain, padded = torch.tensor([[5, 6, 5]]), torch.tensor([[-1, -1, 5, 6, 5]])
    config = DecodingConfig(repetition_penalty=3.0, no_repeat_ngram_size=2)
    sampler = TokenSampler([config], 1, [0], None, 4, Vocabulary(ends=(0,), pad=0), device)
    first, second = (sampler._penalize(logits, torch.arange(1), each) for each in (plain, padded))
    assert torch.equal(first, second)
    expected = RepetitionPenaltyLogitsProcessor(3.0)(plain, logits)
    assert torch.equal(first, NoRepeatNGramLogitsProcessor(2)(plain, expected))
