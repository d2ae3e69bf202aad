"""Load an image-text model: one checkpoint with both encoders, or a pair of encoders."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np
import transformers

from tasks.models.encoders import (
    READERS,
    Array,
    DualEncoder,
    Encoder,
    Tower,
    prepare_images,
)
from tasks.models.families import Family, find_family, is_pair
from tasks.models.loading import load_checked, load_preprocessor, silence_transformers
from tasks.models.pair import load_pair
from tasks.models.texts import TextPreparation, text_length


@lru_cache(maxsize=2)
def load_dual_encoder(name: str, fingerprint: str, device: str, precision: str) -> DualEncoder:
    """Load an image-text model and keep it in this process's memory for later calls.

    Raises:
        ModelError: if it cannot be loaded, or if weights that it uses are missing.
    """
    silence_transformers()
    if is_pair(name):
        dual = load_pair(name, device, precision)
    else:
        dual = _load_family(name, find_family(name), device, precision)
    for encoder in (dual.image, dual.text):
        encoder.tower.requires_grad_(False)  # trials that train it have a copy
    return dual


def _load_family(name: str, family: Family, device: str, precision: str) -> DualEncoder:
    encoders = (f"{family.image_encoder}.", f"{family.text_encoder}.")
    heads = (f"{family.image_head}.", f"{family.text_head}.")
    # Retrieval does not use BERT's pooler. ``families.check_weights`` checks the heads if needed.
    model = load_checked(
        name,
        getattr(transformers, family.model_class),
        lambda key: key.startswith(encoders) and not key.startswith(heads) and "pooler" not in key,
    ).to(device)
    model.eval()
    processor = load_preprocessor(name, "image processor", transformers.AutoImageProcessor)
    tokenizer = load_preprocessor(name, "tokenizer", transformers.AutoTokenizer)
    max_length = text_length(model.config.text_config, tokenizer)
    encoder = partial(Encoder, device=device, precision=precision)
    return DualEncoder(
        image=encoder(
            tower=Tower(model.get_submodule(family.image_encoder), READERS[family.image_features]),
            prepare=partial(prepare_images, processor),
        ),
        text=encoder(
            tower=Tower(model.get_submodule(family.text_encoder), READERS[family.text_features]),
            prepare=TextPreparation(
                tokenizer=tokenizer,
                max_length=max_length,
                pads_to_max_length=family.pads_to_max_length,
            ),
        ),
        heads=_read_heads(model, family),
        matching=model.get_submodule(family.matching_head) if family.matching_head else None,
    )


def _read_heads(model: Any, family: Family) -> dict[str, Array]:
    found = {}
    for side, name in (("image", family.image_head), ("text", family.text_head)):
        head = model.get_submodule(name)
        for part, value in head.state_dict().items():
            found[f"{side}.{part}"] = value.float().cpu().numpy()
        if family.pools_in_head and side == "image":
            # ``heads.py`` needs these constants to compute the pooling.
            found["image.num_heads"] = np.array(head.attention.num_heads)
            found["image.epsilon"] = np.array(head.layernorm.eps, dtype=np.float64)
            if family.image_features == "valid_tokens":
                found["image.masked"] = np.array(True)
    return found
