"""BLIP's image-text matching: a text encoder that attends to an image, and a head of two classes.

B pairs of a batch, N images, S image tokens, D width
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from tasks.models.encoders import DualEncoder


@torch.inference_mode()
def encode_tokens(dual: DualEncoder, images: Sequence[Any]) -> Float[Tensor, "N S D"]:
    """Return the tokens of RGB images, to which texts attend."""
    return dual.image.compute_with_tokens(dual.image.prepare(images))[1]


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
    states = attend(dual, tokens[rows.to(tokens.device)], dual.text.prepare(captions))
    return F.linear(states, dual.matching.weight, dual.matching.bias)


def attend(
    dual: DualEncoder, tokens: Float[Tensor, "B S D"], texts: Mapping[str, Tensor]
) -> Float[Tensor, "B D"]:
    """Return what the matching head reads of pairs: the first token of a text, in float32.

    Args:
        dual: a model with a matching head.
        tokens: the tokens of the image of each pair.
        texts: the caption of each pair as inputs of the text encoder.
    """
    own = dual.text.move(texts)
    with dual.text.autocast():
        states = dual.text.tower.backbone(
            **own,
            encoder_hidden_states=tokens,
            encoder_attention_mask=tokens.new_ones(tokens.shape[:2], dtype=torch.long),
        ).last_hidden_state
    # In float32: with the digits of bfloat16, many candidates would have equal logits.
    return states[:, 0].float()  # type: ignore[no-any-return]
