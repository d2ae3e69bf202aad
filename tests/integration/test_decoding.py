"""Decoding compared with the library's ``generate``, alone and in packs; the lab's two bugs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from captioning_packs import make_trial, run_steps
from decoded_scenes import PROMPT, N, decode_scenes, encode_scenes

from tasks.captioning import images
from tasks.captioning.beams import BeamConfig
from tasks.captioning.decoding import DecodingConfig, Vocabulary, decode
from tasks.captioning.generating import pad_after_end
from tasks.captioning.images import BlipImages
from tasks.datasets import scenes
from tasks.models.captioner import Captioner, load_captioner


@pytest.fixture(scope="module")
def captioner() -> Captioner:
    return load_captioner("blip-scenes", "x", "cpu", "float32")


@pytest.fixture(scope="module")
def pixels(captioner: Captioner) -> torch.Tensor:
    split = scenes.load_split("val", "pretrain")
    images = [split.load(i) for i in range(N)]
    return captioner.processor(images=images, return_tensors="pt")["pixel_values"]


@pytest.fixture(scope="module")
def states(captioner: Captioner) -> torch.Tensor:
    return encode_scenes(captioner)


def library(captioner: Captioner, pixels: torch.Tensor, prompt: str, **options: Any) -> np.ndarray:
    """The library's ``generate``, from pixels to the tokens after the prompt."""
    tokens = captioner.tokenizer([prompt] * len(pixels), return_tensors="pt")
    ids = captioner.model.generate(
        pixel_values=pixels,
        input_ids=tokens["input_ids"],
        attention_mask=tokens["attention_mask"],
        **options,
    )
    return ids[:, len(captioner.prompt_ids(prompt)) :].numpy()


def same(one: np.ndarray, other: np.ndarray, pad: int) -> np.ndarray:
    width = max(one.shape[1], other.shape[1])
    one, other = (
        np.pad(ids, ((0, 0), (0, width - ids.shape[1])), constant_values=pad)
        for ids in (one, other)
    )
    return (one == other).all(1)


SETTINGS = [
    DecodingConfig(min_length=10),
    DecodingConfig(temperature=0.7, top_k=50, min_length=10),
    DecodingConfig(temperature=1.0, top_k=5, min_length=10),
    DecodingConfig(temperature=1.3, min_length=0, max_length=12),
    DecodingConfig(temperature=1.0, top_p=0.8),
    DecodingConfig(temperature=0.7, top_k=50, min_length=10, seed=1),
    DecodingConfig(temperature=1.0, repetition_penalty=1.3),
    DecodingConfig(temperature=1.3, continue_after_eos=True),
    DecodingConfig(temperature=1.3, min_p=0.1, eta_cutoff=0.01),
    DecodingConfig(temperature=1.3, top_h=0.7, no_repeat_ngram_size=2),
]


@pytest.mark.parametrize("prompt", [PROMPT, "", "this is a"])
@pytest.mark.parametrize(
    "options",
    [
        {"min_length": 0, "max_length": 30},
        {"min_length": 10, "max_length": 14},
        {"min_length": 18, "max_length": 30, "repetition_penalty": 1.4},
        {"min_length": 18, "max_length": 30, "no_repeat_ngram_size": 2},
    ],
)
def test_greedy_matches_generate_token_for_token(
    captioner: Captioner,
    pixels: torch.Tensor,
    states: torch.Tensor,
    prompt: str,
    options: dict[str, Any],
) -> None:
    expected = library(captioner, pixels, prompt, do_sample=False, **options)
    (found,) = decode_scenes(captioner, states, [DecodingConfig(**options)], prompt)
    # A token differs only if two logits are equal up to rounding.
    assert same(found, expected, captioner.pad).mean() >= 0.98


def test_beam_search_matches_generate(
    captioner: Captioner, pixels: torch.Tensor, states: torch.Tensor
) -> None:
    expected = library(
        captioner, pixels, PROMPT, do_sample=False, num_beams=3, min_length=8, max_length=24
    )
    prompt = captioner.prompt_ids(PROMPT)
    config = BeamConfig(num_beams=3, min_length=8, max_length=24)
    found = BlipImages(captioner, prompt, states).search(config)
    # The library pads with end tokens.
    expected = pad_after_end(expected, captioner.ends, captioner.pad)
    assert same(found, expected, captioner.pad).mean() >= 0.98


def test_pack_matches_single_settings(captioner: Captioner, states: torch.Tensor) -> None:
    together = decode_scenes(captioner, states, SETTINGS)
    flips = []
    for setting, found in zip(SETTINGS, together, strict=True):
        (alone,) = decode_scenes(captioner, states, [setting])
        flips.append(1 - same(found, alone, captioner.pad).mean())
    assert max(flips) <= 0.02
    assert not same(together[1], together[5], captioner.pad).all()  # seeds differ


def test_packs_of_many_settings_are_split(
    captioner: Captioner, states: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []

    def spy(decoder: Any, states: Any, prompt: Any, keys: Any, configs: Any, *rest: Any) -> Any:
        rows.append(len(states) * len(configs))
        return decode(decoder, states, prompt, keys, configs, *rest)

    def decode_pack() -> list[np.ndarray]:
        rows.clear()
        prompt = captioner.prompt_ids(PROMPT)
        return BlipImages(captioner, prompt, states).decode(range(N), SETTINGS)

    monkeypatch.setattr(images, "decode", spy)
    whole = decode_pack()
    assert rows == [N * len(SETTINGS)]
    monkeypatch.setattr(images, "BLIP_ROWS", 4 * N)
    parts = decode_pack()
    assert rows == [4 * N, 4 * N, 2 * N]
    flips = [1 - same(a, b, captioner.pad).mean() for a, b in zip(whole, parts, strict=True)]
    assert max(flips) <= 0.02


def test_caption_does_not_depend_on_the_batch(captioner: Captioner, states: torch.Tensor) -> None:
    settings = SETTINGS[:7]
    vocabulary = Vocabulary(ends=(captioner.end,), pad=captioner.pad)
    prompt, decoder = captioner.prompt_ids(PROMPT), captioner.model.text_decoder
    order = np.random.default_rng(0).permutation(N)
    whole = decode_scenes(captioner, states, settings)
    for part in np.array_split(order, 5):
        found = decode(decoder, states[part], prompt, part.tolist(), settings, vocabulary)
        for one, other in zip(found, whole, strict=True):
            assert same(one, other[part], captioner.pad).mean() >= 0.9


def test_sampling_follows_the_distribution_of_the_model(
    captioner: Captioner, states: torch.Tensor
) -> None:
    """The frequencies of the first token, compared with the library's probabilities."""
    prompt, image, draws = captioner.prompt_ids(""), states[:1], 4000
    with torch.inference_mode():
        logits = captioner.model.text_decoder(
            input_ids=torch.tensor([prompt]), encoder_hidden_states=image
        ).logits[0, -1]
    setting = DecodingConfig(temperature=1.5, top_k=6, max_length=2)
    vocabulary = Vocabulary(ends=(captioner.end,), pad=captioner.pad)
    (drawn,) = decode(
        captioner.model.text_decoder,
        image.expand(draws, -1, -1),
        prompt,
        range(draws),
        [setting],
        vocabulary,
    )
    values, tokens = logits.topk(6)
    expected = (values / 1.5).softmax(0).numpy()
    counts = np.array([(drawn[:, 0] == token).sum() for token in tokens.tolist()])
    assert counts.sum() == draws
    error = np.sqrt(expected * (1 - expected) / draws)
    assert (np.abs(counts / draws - expected) < 4 * error + 1e-9).all()


def test_faithful_reproduces_both_lab_bugs() -> None:
    common = {"temperature": 1.2, "top_k": 50, "prompt": "This image depicts  "}
    (right, wrong) = run_steps([make_trial(**common), make_trial(**common, faithful=True)])
    clean, faulty = right[-1], wrong[-1]
    assert faulty.metrics["length"] > clean.metrics["length"]
    assert clean.samples is not None
    assert faulty.samples is not None
    pairs = list(zip(clean.samples["caption"], faulty.samples["caption"], strict=True))
    # Two spaces in the prompt are decoded as one, so cutting 20 characters removes a letter.
    assert all(drawn.startswith(good[1:4]) for good, drawn in pairs if len(good) > 4)
