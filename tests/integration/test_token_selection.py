"""Token selection, noise and run-on captions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from decoded_scenes import N, decode_scenes, encode_scenes

from tasks.captioning.decoding import LAB_BATCH, DecodingConfig, Vocabulary, decode, uniform_noise
from tasks.models.captioner import Captioner, load_captioner


@pytest.fixture(scope="module")
def captioner() -> Captioner:
    return load_captioner("blip-scenes", "x", "cpu", "float32")


@pytest.fixture(scope="module")
def states(captioner: Captioner) -> torch.Tensor:
    return encode_scenes(captioner)


def test_top_p_keeps_the_fewest_tokens_that_reach_the_probability(
    captioner: Captioner, states: torch.Tensor
) -> None:
    prompt = captioner.prompt_ids("a")
    with torch.inference_mode():
        logits = captioner.model.text_decoder(
            input_ids=torch.tensor([prompt]), encoder_hidden_states=states[:1]
        ).logits[0, -1]
    probability, tokens = (logits / 2).softmax(0).sort(descending=True)
    allowed = set(tokens[: int((probability.cumsum(0) < 0.9).sum()) + 1].tolist())
    vocabulary = Vocabulary(ends=(captioner.end,), pad=captioner.pad)
    (drawn,) = decode(
        captioner.model.text_decoder,
        states[:1].expand(500, -1, -1),
        prompt,
        range(500),
        [DecodingConfig(temperature=2.0, top_p=0.9, max_length=3)],
        vocabulary,
    )
    assert set(drawn[:, 0].tolist()) <= allowed
    assert len(set(drawn[:, 0].tolist())) > 1


def test_noise_depends_only_on_seed_and_image() -> None:
    noise = uniform_noise(3, [7, 11], 5)
    assert (uniform_noise(3, [11], 5)[0] == noise[1]).all()
    assert (uniform_noise(3, [7], 9)[0, :5] == noise[0]).all()
    assert (uniform_noise(4, [7], 5) != noise[0]).all()
    assert (uniform_noise(3, [7], 5, sample=1) != noise[0]).all()


def test_run_on_captions_end_with_the_batch_of_the_lab(
    captioner: Captioner, states: torch.Tensor
) -> None:
    clean = DecodingConfig(temperature=1.2, top_k=20)
    right, junk = decode_scenes(
        captioner, states, [clean, dataclasses.replace(clean, continue_after_eos=True)]
    )
    for first in range(0, N, LAB_BATCH):
        rows = slice(first, first + LAB_BATCH)
        ends = [int(np.flatnonzero(row == captioner.end)[0]) for row in right[rows]]
        for own, end, row in zip(right[rows], ends, junk[rows], strict=True):
            assert (row[: end + 1] == own[: end + 1]).all()
            length = int((row != captioner.pad).nonzero()[0].max()) + 1
            assert length == max(ends) + 1
