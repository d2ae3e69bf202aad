"""Images with one prompt, in the form that a captioning model decodes.

BLIP decodes with its layers and shares an image's keys and values. Other families decode with
``generate``.

N images, K configs, T tokens
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tasks.captioning.beams import BeamConfig
from tasks.captioning.decoding import LAB_BATCH, DecodingConfig, Vocabulary, decode
from tasks.captioning.generating import ImageInputs, beam_search, decode_rows, pad_after_end
from tasks.interrupt import check_interrupt
from tasks.models.captioner import Captioner
from tasks.models.image_text import ImageTextCaptioner
from tasks.progress import progress_part, report_progress

Ids = Int[np.ndarray, "N T"]
BLIP_ROWS = 768  # captions that BLIP decodes together, at most
GENERATE_ROWS = 128  # at most the same for ``generate``, which keeps an image for every caption
GENERATE_BYTES = 2 << 30  # of the keys and values that ``generate`` keeps


class CaptionedImages(Protocol):
    """Images with one prompt."""

    def decode(self, keys: Sequence[int], configs: Sequence[DecodingConfig]) -> list[Ids]:
        """Return the tokens after the prompt for each config. ``keys`` seed the images."""

    def search(self, config: BeamConfig) -> Ids:
        """Return the tokens after the prompt that beam search finds."""


class BlipImages:
    """Images that BLIP has encoded."""

    def __init__(
        self, captioner: Captioner, prompt: Sequence[int], states: Float[Tensor, "N S D"]
    ) -> None:
        self._captioner, self._prompt, self._states = captioner, prompt, states

    def decode(self, keys: Sequence[int], configs: Sequence[DecodingConfig]) -> list[Ids]:
        """Return the tokens after the prompt for each config. ``keys`` seed the images."""
        decoder = self._captioner.model.text_decoder
        vocabulary = Vocabulary(ends=self._captioner.ends, pad=self._captioner.pad)
        found: list[Ids] = []
        for group in split_configs(configs, BLIP_ROWS // len(self._states)):
            with progress_part(len(found), len(configs), len(group)):
                found += decode(decoder, self._states, self._prompt, keys, group, vocabulary)
        return found

    @torch.inference_mode()
    def search(self, config: BeamConfig) -> Ids:
        """Run the beam search of transformers; its lengths include the prompt."""
        captioner, rows = self._captioner, []
        for begin in range(0, len(self._states), LAB_BATCH):
            check_interrupt()
            report_progress(begin, len(self._states))
            batch = self._states[begin : begin + LAB_BATCH]
            mask = torch.ones(batch.shape[:2], dtype=torch.long).to(batch.device)
            ids = captioner.model.text_decoder.generate(
                input_ids=torch.tensor(self._prompt, device=batch.device).expand(len(batch), -1),
                encoder_hidden_states=batch,
                encoder_attention_mask=mask,
                eos_token_id=captioner.end,
                pad_token_id=captioner.pad,
                num_beams=config.num_beams,
                do_sample=False,
                min_length=config.min_length,
                max_length=config.max_length,
                **config.options(),
            )
            new = ids[:, len(self._prompt) :].cpu().numpy()
            rows.append(pad_after_end(new, captioner.ends, captioner.pad))
        return stack(rows, captioner.pad)


class GeneratedImages:
    """Images for ``generate``: encoded ones [N, ...], or RGB images with or without features."""

    def __init__(
        self,
        captioner: ImageTextCaptioner,
        prompt: str,
        images: Sequence[Any] | Tensor,
        features: Sequence[Tensor] | None = None,
    ) -> None:
        self._captioner, self._prompt = captioner, prompt
        self._images, self._features = images, features

    def decode(self, keys: Sequence[int], configs: Sequence[DecodingConfig]) -> list[Ids]:
        """Return the new tokens for each config. ``keys`` seed the images."""
        num_rows = self._max_rows(max(config.max_length for config in configs))
        found: list[Ids] = []
        for group in split_configs(configs, num_rows):
            with progress_part(len(found), len(configs), len(group)):
                found += self._decode(keys, group, max(1, num_rows // len(group)))
        return found

    def _decode(
        self, keys: Sequence[int], configs: Sequence[DecodingConfig], size: int
    ) -> list[Ids]:
        """Decode ``size`` images at a time."""
        total, parts = len(self._images), []
        for begin in range(0, total, size):
            end = min(begin + size, total)
            with progress_part(begin, total, end - begin):
                given = self._inputs(begin, end)
                parts.append(decode_rows(self._captioner, given, keys[begin:end], configs))
        return [stack(ids, self._captioner.pad) for ids in zip(*parts, strict=True)]

    def search(self, config: BeamConfig) -> Ids:
        """Return the new tokens that beam search finds."""
        size = max(1, self._max_rows(config.max_length) // config.num_beams)
        total, parts = len(self._images), []
        for begin in range(0, total, size):
            check_interrupt()
            report_progress(begin, total)
            given = self._inputs(begin, min(begin + size, total))
            parts.append(beam_search(self._captioner, given, config))
        return stack(parts, self._captioner.pad)

    def _max_rows(self, max_length: int) -> int:
        """Return how many captions to decode together; 0 if even one takes too much memory."""
        inputs = self._inputs(0, 1).inputs
        ids = [value for name, value in inputs.items() if name.endswith("input_ids")]
        prompt = max(int(value.shape[1]) for value in ids)
        image = self._images.shape[1] if isinstance(self._images, Tensor) else 0
        row = self._captioner.cache_bytes * (image + prompt + max_length)
        return min(GENERATE_ROWS, GENERATE_BYTES // row)

    def _inputs(self, begin: int, end: int) -> ImageInputs:
        part = self._images[begin:end]
        if isinstance(part, Tensor):
            return ImageInputs(self._captioner, self._prompt, states=part)
        features = None if self._features is None else self._features[begin:end]
        return ImageInputs(self._captioner, self._prompt, images=part, features=features)


def split_configs(
    configs: Sequence[DecodingConfig], max_size: int
) -> list[Sequence[DecodingConfig]]:
    """Split configs into groups of about the same size, at most ``max_size`` but at least 1."""
    number = math.ceil(len(configs) / max(1, max_size))
    size = math.ceil(len(configs) / number)
    return [configs[first : first + size] for first in range(0, len(configs), size)]


def stack(parts: Sequence[Any], pad: int) -> Ids:
    """Concatenate rows of different lengths, with padding."""
    width = max((part.shape[1] for part in parts), default=0)
    padded = [
        np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=pad) for part in parts
    ]
    return np.concatenate(padded).astype(np.int32)
