"""Load BLIP for captioning.

B batch, T tokens, S image tokens, D the image encoder's width
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import transformers
from jaxtyping import Float, Int
from torch import Tensor

from tasks.autocast import autocast
from tasks.models.encoders import prepare_images
from tasks.models.loading import load_checked, load_preprocessor, silence_transformers


@dataclass(frozen=True, kw_only=True)
class Captioner:
    """A captioning model on a device, with its tokenizer and image processor."""

    model: Any
    tokenizer: Any
    processor: Any
    device: str
    precision: str

    def autocast(self) -> Any:
        """Return a context manager in which the model computes at its precision."""
        return autocast(self.device, self.precision)

    @torch.inference_mode()
    def encode(self, images: Sequence[Any]) -> Float[np.ndarray, "B S D"]:
        """Encode RGB images into all their image tokens, float32."""
        pixels = prepare_images(self.processor, images)["pixel_values"].to(self.device)
        with self.autocast():
            states: Tensor = self.model.vision_model(pixel_values=pixels).last_hidden_state
        return np.asarray(states.float().cpu().numpy())

    def prompt_ids(self, prompt: str) -> list[int]:
        """Return the start token and the prompt's tokens, as ``generate`` passes them on."""
        ids = self.tokenizer(prompt)["input_ids"]
        return [self.model.config.text_config.bos_token_id, *ids[1:-1]]

    def decode(self, ids: Int[np.ndarray, "B T"]) -> list[str]:
        """Decode tokens to text without special tokens, spaced as in transformers 4.

        Without the clean-up, a BERT tokenizer returns "a person ' s feet" for "a person's feet",
        which changes the words that are scored.
        """
        texts: list[str] = self.tokenizer.batch_decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=True
        )
        return texts

    @property
    def end(self) -> int:
        """The id of the token that ends a sentence."""
        return int(self.model.config.text_config.sep_token_id)

    @property
    def ends(self) -> tuple[int, ...]:
        """The id of the token that ends a sentence, as for models with several."""
        return (self.end,)

    @property
    def pad(self) -> int:
        """The id of the padding token."""
        return int(self.model.config.text_config.pad_token_id)


@lru_cache(maxsize=2)
def load_captioner(name: str, fingerprint: str, device: str, precision: str) -> Captioner:
    """Load a captioning model and keep it in this process's memory for later calls.

    Raises:
        ModelError: if it cannot be loaded, or if weights that it uses are missing.
    """
    silence_transformers()
    model = load_checked(
        name,
        transformers.BlipForConditionalGeneration,
        lambda key: key.startswith(("vision_model.", "text_decoder.")),
    )
    return Captioner(
        model=model.to(device).eval(),
        tokenizer=load_preprocessor(name, "tokenizer", transformers.AutoTokenizer),
        processor=load_preprocessor(name, "image processor", transformers.AutoImageProcessor),
        device=device,
        precision=precision,
    )
