"""Which image-text models the tasks take, and what their files must hold. No torch here.

Captioning takes a BLIP with a text decoder. Retrieval takes one of two things: a model with both
encoders and two heads (BLIP, CLIP, SigLIP), or ``IMAGE+TEXT``, two encoders to be joined by new
heads, each a Hugging Face id, a folder, or ``package.module:factory`` (see ``pair.py``).
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tasks.contract import ModelError, Source, content_id
from tasks.fingerprint import fingerprint_files
from tasks.models import folders

Features = Literal["first", "last", "pooled", "tokens"]

POOLING_VERSION = "2"  # of how a pair's features are read: part of its identity


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Where a family of models keeps its two encoders and its two heads."""

    model_class: str  # of transformers
    image_encoder: str
    text_encoder: str
    image_head: str
    text_head: str
    image_features: Features  # what the head reads of the encoder's output
    text_features: Features
    pads_to_the_end: bool = False  # captions are padded to the model's length, unmasked


FAMILIES = {
    "blip": Family(
        model_class="BlipForImageTextRetrieval",
        image_encoder="vision_model",
        text_encoder="text_encoder",
        image_head="vision_proj",
        text_head="text_proj",
        image_features="first",
        text_features="first",
    ),
    "clip": Family(
        model_class="CLIPModel",
        image_encoder="vision_model",
        text_encoder="text_model",
        image_head="visual_projection",
        text_head="text_projection",
        image_features="pooled",
        text_features="pooled",
    ),
    # SigLIP has no pair of projections: its heads are the attention pooling of its image encoder
    # and the linear layer at the end of its text encoder (Zhai et al. 2023).
    "siglip": Family(
        model_class="SiglipModel",
        image_encoder="vision_model",
        text_encoder="text_model",
        image_head="vision_model.head",
        text_head="text_model.head",
        image_features="tokens",
        text_features="last",
        pads_to_the_end=True,
    ),
}


def is_pair(name: str) -> bool:
    """Whether the name is ``IMAGE+TEXT`` rather than one model."""
    return "+" in name and not os.path.isdir(os.path.expanduser(name))


def split_pair(name: str) -> tuple[str, str]:
    """The names of the two encoders."""
    image, _, text = name.partition("+")
    if not image or not text or "+" in text:
        raise ModelError(f"a pair of encoders is written IMAGE+TEXT, but got {name!r}")
    return image, text


def find_family(name: str) -> Family:
    """The family that a model's ``config.json`` names.

    Raises:
        ModelError: if it is none of ours.
    """
    kind = folders.read_config(folders.find_folder(name)).get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise ModelError(
            f"{name} is a {kind!r} model; image-text retrieval takes {', '.join(FAMILIES)}, "
            "or IMAGE+TEXT, two encoders joined by new heads"
        )
    return FAMILIES[kind]


def check_weights(name: str, *, heads: bool) -> None:
    """Refuse a checkpoint without the encoders (or heads): a library would draw them at random.

    Raises:
        ModelError: naming what is missing and how to go on.
    """
    family, present = find_family(name), folders.parameter_names(folders.find_folder(name))
    for encoder in (family.image_encoder, family.text_encoder):
        if not any(parameter.startswith(f"{encoder}.") for parameter in present):
            raise ModelError(
                f"{name} has no weights for its {encoder}: it was saved for another task, "
                "such as captioning; give a retrieval checkpoint"
            )
    wanted = [h for h in (family.image_head, family.text_head) if _lacks(h, present)]
    if heads and wanted:
        raise ModelError(
            f"{name} has no pretrained heads ({', '.join(wanted)} missing); add --set start=random"
        )


def _lacks(head: str, present: set[str]) -> bool:
    return not any(parameter.startswith(f"{head}.") for parameter in present)


def check_captioner(name: str) -> None:
    """Refuse what is not a BLIP with a text decoder. Reads headers only.

    Raises:
        ModelError: saying what it is instead, or what is missing.
    """
    folder = folders.find_folder(name)
    kind = folders.read_config(folder).get("model_type")
    if kind != "blip":
        raise ModelError(f"{name} is a {kind!r} model; captioning takes a BLIP with a text decoder")
    if not any(key.startswith("text_decoder.") for key in folders.parameter_names(folder)):
        raise ModelError(
            f"{name} has no weights for a text decoder: it was saved for another task, such as "
            "retrieval; give a captioning checkpoint"
        )


def resolve(name: str) -> Source:
    """The model, or pair of encoders, with its fingerprint; folders become absolute."""
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
            raise ModelError(f"{folder}/config.json names no 'model_type'; add the encoder's")
        return folders.resolve(name, [need])
    factory = load_factory(name)
    try:
        files = [Path(inspect.getsourcefile(inspect.unwrap(factory)) or __file__)]
        files += [Path(file) for file in getattr(factory, "files", list)()]
    except Exception as error:  # of a user's own code
        raise ModelError(f"{name}: its files cannot be told: {error}; mend its .files") from error
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise ModelError(f"{name} reads {missing[0]}, which is missing; put it there")
    files = [file.resolve() for file in files]
    root = Path(os.path.commonpath([file.parent for file in files]))
    return Source(name=name, fingerprint=fingerprint_files(root, files))


def num_bytes(name: str) -> int:
    """The size of a model's saved weights; a factory's are not known."""
    parts = split_pair(name) if is_pair(name) else (name,)
    return sum(folders.num_bytes(folders.find_folder(p)) for p in parts if not is_factory(p))


def is_factory(name: str) -> bool:
    """Whether an encoder is ``package.module:factory``."""
    module, colon, function = name.partition(":")
    return bool(colon) and all(word.isidentifier() for word in [*module.split("."), function])


def load_factory(name: str) -> Callable[[], Any]:
    """The function behind ``package.module:factory``."""
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except AttributeError:
        raise ModelError(f"{module} offers no {function!r}; check the name") from None
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"the encoder {name!r} cannot be imported: {error}; install or mend {module}"
        ) from error
    if not callable(found):
        raise ModelError(f"{name!r} must be a function, but is {type(found).__name__}")
    return found  # type: ignore[no-any-return]
