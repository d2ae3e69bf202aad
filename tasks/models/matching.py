"""BLIP's image-text matching: a text encoder that attends to an image, and a head of two classes.

B pairs of a batch, S image tokens, D width
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from tasks.autocast import autocast
from tasks.models.encoders import DualEncoder


@torch.inference_mode()
def encode_tokens(dual: DualEncoder, images: Sequence[Any]) -> Float[Tensor, "B S D"]:
    """Return the tokens of RGB images, to which texts attend."""
    encoder = dual.image
    inputs = {name: value.to(encoder.device) for name, value in encoder.prepare(images).items()}
    with autocast(encoder.device, encoder.precision):
        return encoder.tower.backbone(**inputs).last_hidden_state  # type: ignore[no-any-return]


@torch.inference_mode()
def match(
    dual: DualEncoder,
    tokens: Float[Tensor, "N S D"],
    rows: Int[Tensor, " B"],
    captions: Sequence[str],
) -> Float[Tensor, "B 2"]:
    """Return logits of "no" and "yes" for pairs: do the captions describe their images?

    Args:
        dual: a model with a matching head.
        tokens: the tokens of several images.
        rows: the image of each caption, as an index into ``tokens``.
        captions: the B captions.
    """
    assert dual.matching is not None
    encoder = dual.text
    inputs = {name: value.to(encoder.device) for name, value in encoder.prepare(captions).items()}
    attended = tokens[rows.to(tokens.device)]
    with autocast(encoder.device, encoder.precision):
        states = encoder.tower.backbone(
            **inputs,
            encoder_hidden_states=attended,
            encoder_attention_mask=attended.new_ones(attended.shape[:2], dtype=torch.long),
        ).last_hidden_state
    # In float32: with the digits of bfloat16, many candidates would have equal logits.
    return F.linear(states[:, 0].float(), dual.matching.weight, dual.matching.bias)
