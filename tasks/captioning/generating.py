"""Decode captions with ``generate``: many settings as rows of one batch, or beam search.

Lengths count new tokens: those of the caption and its end token.

N images, K configs, R = N K rows, T new tokens
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from tasks.captioning.beams import BeamConfig
from tasks.captioning.decoding import DecodingConfig, TokenSampler, Vocabulary
from tasks.captioning.selection import AllEnded, CountPrompt, SelectToken
from tasks.captioning.shared_prompt import shared_prompt
from tasks.models.image_text import ImageTextCaptioner

#: Turn off what ``generate`` does to the scores by default.
NEUTRAL = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0}


class ImageInputs:
    """The arguments of ``generate`` for N images with one prompt, encoded before or not.

    Give ``states``, or RGB ``images`` with or without their ``features``.
    """

    def __init__(
        self,
        captioner: ImageTextCaptioner,
        prompt: str,
        *,
        states: Any = None,
        images: Any = None,
        features: Any = None,
    ) -> None:
        self._captioner, self._states = captioner, states
        if features is not None:
            self.number = len(images)
            self.inputs: Mapping[str, Any] = captioner.inputs_of_features(images, features, prompt)
        elif states is None:
            self.number = len(images)
            self.inputs = captioner.inputs(images, prompt)
        else:
            self.number = len(states)
            self.inputs = captioner.inputs_of_states(len(states), prompt)

    def encoded(self) -> Any:
        """Return a context manager in which ``generate`` uses the encoded images."""
        if self._states is None:
            return contextlib.nullcontext()
        return self._captioner.encoded_images(self._states)


@torch.inference_mode()
def decode_rows(
    captioner: ImageTextCaptioner,
    given: ImageInputs,
    keys: Sequence[int],
    configs: Sequence[DecodingConfig],
) -> list[Int[np.ndarray, "N T"]]:
    """Return the new tokens for each config: up to an end token, then padding.

    ``keys`` seed the random numbers of the images.
    """
    num_rows, max_length = given.number * len(configs), max(c.max_length for c in configs)
    device = torch.device(captioner.device)
    sampler = TokenSampler(
        configs,
        given.number,
        keys,
        None,
        max_length,
        Vocabulary(ends=captioner.ends, pad=captioner.pad),
        device,
    )
    mask = None if captioner.is_encoder_decoder else given.inputs.get("attention_mask")
    mask = None if mask is None else mask.repeat_interleave(len(configs), dim=0)
    selection = SelectToken(sampler, num_rows, max_length, captioner.pad, device, mask)
    with given.encoded(), shared_prompt(captioner.generator, num_rows, len(configs)):
        captioner.model.generate(
            **given.inputs,
            do_sample=True,  # several rows per image need it; one token is left to sample
            num_return_sequences=len(configs),
            max_new_tokens=max_length,
            logits_processor=[selection],
            stopping_criteria=[AllEnded(selection)],
            **NEUTRAL,
        )
    ids = selection.tokens.reshape(given.number, len(configs), -1).cpu().numpy()
    return [ids[:, k] for k in range(len(configs))]


@torch.inference_mode()
def beam_search(
    captioner: ImageTextCaptioner, given: ImageInputs, config: BeamConfig
) -> Int[np.ndarray, "N T"]:
    """Run the beam search of transformers and return the new tokens."""
    prompt = CountPrompt()
    with given.encoded():
        ids = captioner.model.generate(
            **given.inputs,
            do_sample=False,
            num_beams=config.num_beams,
            min_new_tokens=config.min_length,
            max_new_tokens=config.max_length,
            eos_token_id=list(captioner.ends),
            logits_processor=[prompt],
            **config.options(),
        )
    return pad_after_end(ids[:, prompt.length :].cpu().numpy(), captioner.ends, captioner.pad)


def pad_after_end(ids: Any, ends: Sequence[int], pad: int) -> Int[np.ndarray, "N T"]:
    """Replace all tokens after the first end token by padding."""
    is_end = np.isin(ids, ends)
    is_after = np.cumsum(is_end, axis=1) - is_end > 0
    return np.where(is_after, pad, ids)
