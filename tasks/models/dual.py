"""Load an image-text model: one checkpoint of both modalities, or a pair of encoders."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np
import transformers

from tasks.models.encoders import (
    READERS,
    Array,
    Dual,
    Encoder,
    Tower,
    prepare_images,
    prepare_texts,
)
from tasks.models.families import FAMILIES, Family, find_family, is_pair
from tasks.models.loading import load_beside, load_checked, quiet
from tasks.models.pair import load_pair


@lru_cache(maxsize=2)
def load_dual(name: str, fingerprint: str, device: str, precision: str) -> Dual:
    """The model, kept warm in this process for the stages that follow.

    Raises:
        ModelError: if it cannot be loaded, or weights that it uses are missing.
    """
    quiet()
    if is_pair(name):
        return load_pair(name, device, precision)
    return _load_family(name, find_family(name), device, precision)


def _load_family(name: str, family: Family, device: str, precision: str) -> Dual:
    encoders = (f"{family.image_encoder}.", f"{family.text_encoder}.")
    heads = (f"{family.image_head}.", f"{family.text_head}.")
    # A BERT has a pooler that retrieval does not read; heads are checked where they are wanted.
    model = load_checked(
        name,
        getattr(transformers, family.model_class),
        lambda key: key.startswith(encoders) and not key.startswith(heads) and "pooler" not in key,
    ).to(device)
    model.eval()
    processor = load_beside(name, "image processor", transformers.AutoImageProcessor)
    tokenizer = load_beside(name, "tokenizer", transformers.AutoTokenizer)
    limit = model.config.text_config.max_position_embeddings
    encoder = partial(Encoder, device=device, precision=precision)
    return Dual(
        image=encoder(
            tower=Tower(model.get_submodule(family.image_encoder), READERS[family.image_features]),
            prepare=partial(prepare_images, processor),
        ),
        text=encoder(
            tower=Tower(model.get_submodule(family.text_encoder), READERS[family.text_features]),
            prepare=partial(prepare_texts, tokenizer, limit, family.pads_to_the_end),
        ),
        heads=_read_heads(model, family),
    )


def _read_heads(model: Any, family: Family) -> dict[str, Array]:
    found = {}
    for side, name in (("image", family.image_head), ("text", family.text_head)):
        head = model.get_submodule(name)
        for part, value in head.state_dict().items():
            found[f"{side}.{part}"] = value.float().cpu().numpy()
        if family is FAMILIES["siglip"] and side == "image":
            # Not weights, but the pooling cannot be computed without them: see ``heads.py``.
            found["image.num_heads"] = np.array(head.attention.num_heads)
            found["image.epsilon"] = np.array(head.layernorm.eps, dtype=np.float64)
    return found
