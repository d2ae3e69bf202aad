"""Captions of the first scenes by BLIP, decoded by this project."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tasks.captioning.decoding import DecodingConfig, Vocabulary, decode
from tasks.datasets import scenes
from tasks.models.captioner import Captioner

N = 64
PROMPT = "a picture of "


def encode_scenes(captioner: Captioner) -> torch.Tensor:
    split = scenes.load_split("val", "pretrain")
    return torch.from_numpy(captioner.encode([split.load(i) for i in range(N)]))


def decode_scenes(
    captioner: Captioner,
    states: torch.Tensor,
    configs: Sequence[DecodingConfig],
    prompt: str = PROMPT,
) -> list[np.ndarray]:
    vocabulary = Vocabulary(ends=(captioner.end,), pad=captioner.pad)
    ids = captioner.prompt_ids(prompt)
    decoder = captioner.model.text_decoder
    return decode(decoder, states, ids, range(len(states)), configs, vocabulary)
