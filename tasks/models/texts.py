"""Turn captions into inputs of a text encoder.

B batch, T tokens
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from tasks.models.encoders import DualEncoder
from tasks.models.families import check_max_tokens


@dataclass(frozen=True, kw_only=True)
class TextPreparation:
    """How a model's captions become tokens."""

    tokenizer: Any
    max_length: int  # the text encoder's maximum
    max_tokens: int | None = None  # longer captions are truncated; None: max_length
    pads_to_max_length: bool = False  # as SigLIP was trained, without a mask
    lower_case: bool = False  # before the tokenizer, which may do so itself

    def __call__(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return token ids [B, T], and the attention mask unless captions have a fixed length."""
        own = [text.lower() for text in texts] if self.lower_case else list(texts)
        length = {"truncation": True, "max_length": self.truncated_length}
        if self.pads_separately:
            tokens = self.tokenizer.pad(
                self.tokenizer(own, **length),
                padding="max_length",
                max_length=self.max_length,
                return_tensors="pt",
            )
        else:
            padding = "max_length" if self.pads_to_max_length else True
            tokens = self.tokenizer(own, padding=padding, return_tensors="pt", **length)
        names = ("input_ids",) if self.pads_to_max_length else ("input_ids", "attention_mask")
        return {name: tokens[name] for name in names}

    @property
    def truncated_length(self) -> int:
        """The number of tokens to which longer captions are truncated."""
        return self.max_tokens or self.max_length

    @property
    def pads_separately(self) -> bool:
        """Whether captions are truncated to fewer tokens than they are padded to.

        SigLIP's head reads the last position of its full length.
        """
        return self.pads_to_max_length and self.truncated_length < self.max_length

    def with_options(self, max_tokens: int | None, lower_case: bool | None) -> TextPreparation:
        """Return the same with captions of ``max_tokens`` and in lower case, if set.

        Raises:
            ModelError: if the text encoder takes fewer tokens.
        """
        if max_tokens is not None:
            check_max_tokens(max_tokens, self.max_length)
        return dataclasses.replace(self, max_tokens=max_tokens, lower_case=bool(lower_case))


def text_length(config: Any, tokenizer: Any) -> int:
    """Return the maximum tokens of a caption: of the text encoder, or of its tokenizer."""
    return int(min(config.max_position_embeddings, tokenizer.model_max_length))


def adapt_texts(dual: DualEncoder, max_tokens: int | None, lower_case: bool | None) -> DualEncoder:
    """Return encoders whose captions are prepared with these options.

    Raises:
        ModelError: if the text encoder takes fewer tokens.
    """
    if max_tokens is None and lower_case is None:
        return dual
    assert isinstance(dual.text.prepare, TextPreparation)  # checked by ``normalize``
    prepare = dual.text.prepare.with_options(max_tokens, lower_case)
    return dataclasses.replace(dual, text=dataclasses.replace(dual.text, prepare=prepare))
