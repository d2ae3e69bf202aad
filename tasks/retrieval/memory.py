"""Estimate the memory of a training step from the configuration of the model. Without torch.

B batch, N tokens of an image or of a caption, S tokens of the image to which a caption attends,
D width, M hidden width of the MLP, H heads
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tasks.contract import Source, Trial
from tasks.datasets.registry import load_split
from tasks.models import folders
from tasks.models.factories import is_factory
from tasks.models.families import FAMILIES, is_pair, split_pair
from tasks.retrieval.params import Params

FLOAT = 4  # bytes
# The weights and moments of the state before a step and of that after it, and the gradients.
COPIES = 7
TOKENS_PER_WORD = 1.3  # of captions, on average; rare words have more
MIXED = 0.6  # activations in bfloat16, next to float32; normalizations and residuals stay float32

Shapes = Mapping[str, Sequence[int]]


def estimate_training(trial: Trial) -> int:
    """Estimate the device memory of a trial that trains encoders, in bytes.

    It counts the shared model, the trained weights with their moments and gradients, and the
    activations. Of an encoder that is no plain transformer, and of a factory, it counts no
    activations.
    """
    encoders = _encoders(trial.model)
    everything = sum(sum(map(math.prod, each.shapes.values())) for each in encoders)
    casts = sum(_casts(each.shapes, trial.params) for each in encoders)
    return FLOAT * everything + casts + trained_bytes(trial)


def trained_bytes(trial: Trial) -> int:
    """Estimate the bytes that a trial needs in addition to the shared model."""
    encoders = _encoders(trial.model)
    trained = sum(_trained(each, trial.params) for each in encoders)
    copies = COPIES if trial.params.chunk_size is None else COPIES + 2  # gradients are added up
    found = [_activations(trial, each) for each in encoders]
    if trial.params.itm_weight:
        found.append(_matching_activations(trial, encoders))
    kept, again = sum(each for each, _ in found), max((each for _, each in found), default=0)
    return FLOAT * copies * trained + kept + again


@dataclass(frozen=True, kw_only=True, slots=True)
class _Encoder:
    """An encoder."""

    side: str  # image or text
    shapes: Shapes  # of its parameters
    config: Any
    kind: str  # the model's type
    num_patches: int | None  # of an image; None for a text, or an encoder that is no plain ViT


@lru_cache(maxsize=8)  # a plan asks for every trial
def _encoders(model: Source) -> list[_Encoder]:
    """Return the encoders, except those of factories."""
    from transformers import AutoConfig

    from tasks.models.loading import LOCAL

    name = model.name
    parts = split_pair(name) if is_pair(name) else (name, name)
    found = []
    for side, part in zip(("image", "text"), parts, strict=True):
        if is_factory(part):
            continue
        folder = folders.find_folder(part)
        config = AutoConfig.from_pretrained(folder, **LOCAL)
        family = FAMILIES.get(config.model_type)
        shapes = folders.parameter_shapes(folder)
        if family is not None:
            prefix = f"{family.image_encoder if side == 'image' else family.text_encoder}."
            shapes = {k.removeprefix(prefix): v for k, v in shapes.items() if k.startswith(prefix)}
        own = getattr(config, "vision_config" if side == "image" else "text_config", config)
        patches = _num_patches(own, folder) if side == "image" else None
        made = _Encoder(
            side=side, shapes=shapes, config=own, kind=config.model_type, num_patches=patches
        )
        found.append(made)
    return found


def _num_patches(config: Any, folder: Path) -> int | None:
    """Return the number of patches of an image, or None for an encoder that is no plain ViT."""
    if hasattr(config, "depths"):  # stages of several widths and grids, as in Swin
        return None
    size, patch = (getattr(config, name, None) for name in ("image_size", "patch_size"))
    if isinstance(size, int) and isinstance(patch, int):
        return int((size // patch) ** 2)
    if config.model_type == "siglip2_vision_model":  # pads images of any shape to this many
        return int(folders.read_image_processor(folder).get("max_num_patches", config.num_patches))
    return None


def _trained(encoder: _Encoder, params: Params) -> int:
    """Return the number of trained weights of an encoder."""
    shapes = encoder.shapes
    if params.trainable == "full":
        return sum(map(math.prod, shapes.values()))
    assert params.lora_rank is not None
    assert params.lora_targets is not None
    return sum(
        params.lora_rank * sum(shape)
        for name, shape in shapes.items()
        if _is_linear(name, shape)
        and (params.itm_weight or "crossattention" not in name)
        and (
            params.lora_targets == "all-linear"
            or re.fullmatch(params.lora_targets, f"{encoder.side}.{name.removesuffix('.weight')}")
        )
    )


def _is_linear(name: str, shape: Sequence[int]) -> bool:
    return len(shape) == 2 and "embed" not in name and name.endswith(".weight")


def _casts(shapes: Shapes, params: Params) -> int:
    """Return the bytes of the copies of weights that mixed precision makes."""
    if params.precision == "float32":
        return 0
    return 2 * sum(math.prod(s) for name, s in shapes.items() if _is_linear(name, s))


def _activations(trial: Trial, encoder: _Encoder) -> tuple[int, int]:
    """Return the bytes that an encoder keeps for the backward pass, and that it computes again.

    They are those of a batch, or of a chunk and the images of the batch.
    """
    params: Params = trial.params
    config, is_image = encoder.config, encoder.side == "image"
    width = getattr(config, "hidden_size", None)
    layers = getattr(config, "num_hidden_layers", None)
    if not isinstance(width, int) or not isinstance(layers, int):
        return 0, 0
    if is_image and encoder.num_patches is None:
        return 0, 0
    tokens = _num_tokens(trial, encoder)
    hidden = getattr(config, "intermediate_size", None) or 4 * width
    # CLIP's activation function keeps another copy; BLIP keeps attention weights.
    copies = 3 if getattr(config, "hidden_act", "") == "quick_gelu" else 2
    attention = config.num_attention_heads * tokens if encoder.kind == "blip" else 0
    layer = 8 * width + copies * hidden + attention
    kept, again = layers * layer, 0
    if params.gradient_checkpointing:
        kept, again = layers * width, layer
    share = 1.0 if params.precision == "float32" else MIXED
    num_tokens = tokens * min(params.chunk_size or params.batch_size, params.batch_size)
    patches = encoder.num_patches or 0
    pixels = 3 * patches * config.patch_size**2 * params.batch_size if is_image else 0
    return (
        int(FLOAT * (num_tokens * (share * kept + 4 * width) + pixels)),
        int(FLOAT * num_tokens * share * again),
    )


def _matching_activations(trial: Trial, encoders: Sequence[_Encoder]) -> tuple[int, int]:
    """Return what the text encoder keeps, and computes again, of BLIP's pairs to match.

    They are three times as many as in a batch. Each layer has a cross-attention, too, with keys and
    values of all image tokens.
    """
    params: Params = trial.params
    image, text = sorted(encoders, key=lambda encoder: encoder.side)
    config, width = text.config, text.config.hidden_size
    tokens, attended = _num_tokens(trial, text), _num_tokens(trial, image)
    hidden, heads = config.intermediate_size, config.num_attention_heads
    own = tokens * (12 * width + 2 * hidden + heads * (tokens + attended))
    layer, layers = own + 2 * attended * width, config.num_hidden_layers
    kept, again = layers * layer, 0
    if params.gradient_checkpointing:
        kept, again = layers * tokens * width, layer
    share = 1.0 if params.precision == "float32" else MIXED
    pairs = 3 * params.batch_size
    inputs = attended * image.config.hidden_size + 4 * tokens * width
    return int(FLOAT * pairs * (share * kept + inputs)), int(FLOAT * pairs * share * again)


def _num_tokens(trial: Trial, encoder: _Encoder) -> int:
    is_siglip = encoder.kind.startswith("siglip")
    if encoder.num_patches is not None:
        return encoder.num_patches + (0 if is_siglip else 1)
    longest: int = encoder.config.max_position_embeddings
    if is_siglip:
        return longest
    return min(longest, round(TOKENS_PER_WORD * _longest_caption(trial.data)) + 2)


@lru_cache(maxsize=8)
def _longest_caption(data: Source) -> int:
    """Return the number of words of the longest training caption."""
    captions = load_split(data.name, "train").captions
    return max(len(caption.split()) for each in captions for caption in each)
