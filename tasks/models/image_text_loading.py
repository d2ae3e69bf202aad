"""Load any captioning model that transformers can ``generate`` with, by id or folder."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import transformers

from tasks.contract import ModelError
from tasks.models.image_text import ImageTextCaptioner, generators
from tasks.models.image_text_processor import load_processor
from tasks.models.loading import load_checked, silence_transformers

#: What a checkpoint's generation config keeps: properties of the model, not choices of a trial.
MODEL_OPTIONS = (
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "decoder_start_token_id",
    "forced_bos_token_id",
    "pad_token_id",
    "suppress_tokens",
)


def load_image_text(name: str, fingerprint: str, device: str, precision: str) -> ImageTextCaptioner:
    """Load a captioning model and keep it in this process's memory for later calls.

    The weights are float32 and the same for each precision.

    Raises:
        ModelError: if it cannot be loaded, if weights are missing, or if no token ends a caption.
    """
    return replace(_load(name, fingerprint, device), precision=precision)


@lru_cache(maxsize=1)
def _load(name: str, fingerprint: str, device: str) -> ImageTextCaptioner:
    silence_transformers()
    model = load_checked(name, transformers.AutoModelForImageTextToText, lambda key: True)
    family = model.config.model_type
    parts = load_processor(name, family)
    tokenizer = parts.tokenizer
    ends = end_tokens(model, tokenizer)
    if not ends:
        raise ModelError(
            f"{name} names no token that ends a caption; set eos_token_id in its "
            "generation_config.json"
        )
    pad = model.generation_config.pad_token_id
    pad = tokenizer.pad_token_id if pad is None else pad
    pad = ends[0] if pad is None else pad
    plain = plain_generation(model, pad)
    for each in generators(model):
        each.generation_config = plain
    return ImageTextCaptioner(
        family=family,
        model=model.to(device).eval(),
        processor=parts.processor,
        tokenizer=tokenizer,
        image_processor=parts.image_processor,
        ends=ends,
        pad=pad,
        device=device,
        precision="float32",
    )


def end_tokens(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Return the ids of the tokens that end a caption, by the model or else by the tokenizer."""
    text = model.config.get_text_config(decoder=True)
    generation = [each.generation_config for each in generators(model)]
    for places in (generation, [model.config, text], [tokenizer]):
        named = [getattr(place, "eos_token_id", None) for place in places]
        lists = [ids if isinstance(ids, (list, tuple)) else [ids] for ids in named]
        found = dict.fromkeys(int(token) for ids in lists for token in ids if token is not None)
        if found:
            return tuple(found)
    return ()


def plain_generation(model: Any, pad: int) -> Any:
    """Return a generation config without the checkpoint's choices, such as its repetition penalty.

    ``generate`` fills options that a call leaves out from this config.
    """
    given = model.generation_config
    text = model.config.get_text_config(decoder=True)
    options = {name: getattr(given, name, None) for name in MODEL_OPTIONS}
    for name in ("bos_token_id", "decoder_start_token_id"):
        ids = (options[name], *(getattr(config, name, None) for config in (model.config, text)))
        options[name] = next((token for token in ids if token is not None), None)
    return transformers.GenerationConfig(**{**options, "pad_token_id": pad})
