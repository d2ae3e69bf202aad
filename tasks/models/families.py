"""The image-text models that retrieval supports, and checks of their files. Without torch.

Retrieval takes either a model with two encoders and two heads (BLIP, CLIP, MetaCLIP 2,
SigLIP, SigLIP 2), or ``IMAGE+TEXT``, two separate encoders that get new heads. Each of those is a
Hugging Face id, a folder, or ``package.module:factory`` (see ``pair.py``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from tasks.contract import ModelError, Source, content_id
from tasks.models import folders
from tasks.models.factories import fingerprint_factory, is_factory

Features = Literal["first", "last", "pooled", "tokens", "valid_tokens"]

POOLING_VERSION = "2"  # part of a pair's fingerprint; increase it when ``pooling.py`` changes


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """The names of the two encoders and the two heads in a family of models."""

    model_class: str  # in transformers
    image_encoder: str
    text_encoder: str
    image_head: str
    text_head: str
    image_features: Features  # the part of the encoder's output that the head takes
    text_features: Features
    pads_to_max_length: bool = False  # captions are padded to the model's length, without a mask
    matching_head: str = ""  # classifies a text that attends to an image; "" if there is none

    @property
    def pools_in_head(self) -> bool:
        """Whether the image head pools tokens itself."""
        return self.image_features in ("tokens", "valid_tokens")


_CLIP = Family(
    model_class="CLIPModel",
    image_encoder="vision_model",
    text_encoder="text_model",
    image_head="visual_projection",
    text_head="text_projection",
    image_features="pooled",
    text_features="pooled",
)
# SigLIP has no projections: its heads are the attention pooling of the image encoder and the last
# linear layer of the text encoder (Zhai et al. 2023).
_SIGLIP = Family(
    model_class="SiglipModel",
    image_encoder="vision_model",
    text_encoder="text_model",
    image_head="vision_model.head",
    text_head="text_model.head",
    image_features="tokens",
    text_features="last",
    pads_to_max_length=True,
)
FAMILIES = {
    "blip": Family(
        model_class="BlipForImageTextRetrieval",
        image_encoder="vision_model",
        text_encoder="text_encoder",
        image_head="vision_proj",
        text_head="text_proj",
        image_features="first",
        text_features="first",
        matching_head="itm_head",
    ),
    "clip": _CLIP,
    "metaclip_2": replace(_CLIP, model_class="MetaClip2Model"),
    "siglip": _SIGLIP,
    # SigLIP 2 NaFlex: images of any shape as patches with a mask (Tschannen et al. 2025). The other
    # SigLIP 2 models are of the type "siglip".
    "siglip2": replace(_SIGLIP, model_class="Siglip2Model", image_features="valid_tokens"),
}


def is_pair(name: str) -> bool:
    """Return whether the name is ``IMAGE+TEXT`` rather than one model."""
    return "+" in name and not os.path.isdir(os.path.expanduser(name))


def split_pair(name: str) -> tuple[str, str]:
    """Return the names of the two encoders of ``IMAGE+TEXT``."""
    image, _, text = name.partition("+")
    if not image or not text or "+" in text:
        raise ModelError(f"a pair of encoders is written IMAGE+TEXT, but got {name!r}")
    return image, text


def text_part(name: str) -> str:
    """Return the name of the model that encodes texts: the second of a pair, or the only one."""
    return split_pair(name)[1] if is_pair(name) else name


def find_family(name: str) -> Family:
    """Return the family of a model, from its ``config.json``.

    Raises:
        ModelError: if the family is not supported.
    """
    kind = folders.read_config(folders.find_folder(name)).get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise ModelError(
            f"{name} is a {kind!r} model; image-text retrieval takes {', '.join(FAMILIES)}, "
            "or IMAGE+TEXT, two encoders with new heads"
        )
    return FAMILIES[kind]


def check_weights(name: str, *, heads: bool) -> None:
    """Raise an error if a checkpoint lacks encoder or head weights.

    Without this check, transformers would initialize them at random.

    Raises:
        ModelError: the message names what is missing and the fix.
    """
    family, present = find_family(name), folders.parameter_names(folders.find_folder(name))
    for encoder in (family.image_encoder, family.text_encoder):
        if not any(parameter.startswith(f"{encoder}.") for parameter in present):
            raise ModelError(
                f"{name} has no weights for its {encoder}: it was saved for another task, "
                "such as captioning; use a retrieval checkpoint"
            )
    missing = [h for h in (family.image_head, family.text_head) if _lacks(h, present)]
    if heads and missing:
        raise ModelError(
            f"{name} has no pretrained heads ({', '.join(missing)} missing); add --set start=random"
        )


def check_matching(name: str, option: str = "rerank_k") -> None:
    """Raise an error if a model has no trained head that matches images and texts.

    ``option`` is the parameter that needs it.

    Raises:
        ModelError: the message says what is missing.
    """
    head = "" if is_pair(name) else find_family(name).matching_head
    if not head:
        raise ModelError(
            f"{option} needs a matching head, which only BLIP has, but got {name}; remove {option}"
        )
    if _lacks(head, folders.parameter_names(folders.find_folder(name))):
        raise ModelError(
            f"{name} has no weights of its matching head ({head}); remove {option}, or use a "
            "checkpoint of BlipForImageTextRetrieval"
        )


@lru_cache(maxsize=8)  # a plan asks for every trial
def find_max_tokens(name: str, fingerprint: str) -> int | None:
    """Return the number of positions of a text encoder; None if its configuration sets none.

    ``fingerprint`` is that of the model, whose files can change while the process runs.
    """
    from transformers import AutoConfig

    from tasks.models.loading import LOCAL

    config = AutoConfig.from_pretrained(folders.find_folder(name), **LOCAL)
    text = getattr(config, "text_config", config)
    return getattr(text, "max_position_embeddings", None)


def check_max_tokens(max_tokens: int, maximum: int) -> None:
    """Raise an error if captions may have more tokens than the text encoder takes.

    Raises:
        ModelError: the message has both numbers.
    """
    if max_tokens > maximum:
        raise ModelError(
            f"`max_tokens <= {maximum}` must hold for this model, but got {max_tokens}"
        )


def _lacks(head: str, present: set[str]) -> bool:
    return not any(parameter.startswith(f"{head}.") for parameter in present)


def resolve(name: str) -> Source:
    """Return a model, or pair of encoders, with its fingerprint; folder paths become absolute.

    Raises:
        ModelError: if a model does not exist, is damaged or is not supported.
    """
    if not is_pair(name):
        find_family(name)
        return folders.resolve(name)
    image, text = split_pair(name)
    parts = [_resolve_encoder(image, "image processor"), _resolve_encoder(text, "tokenizer")]
    shown = "+".join(part.name for part in parts)
    prints = [part.fingerprint for part in parts]
    return Source(name=shown, fingerprint=content_id([POOLING_VERSION, *prints]))


def _resolve_encoder(name: str, need: str) -> Source:
    if not is_factory(name):
        folder = folders.find_folder(name)
        if not isinstance(folders.read_config(folder).get("model_type"), str):
            raise ModelError(f"{folder}/config.json has no 'model_type'; add that of the encoder")
        return folders.resolve(name, [need])
    return fingerprint_factory(name)
