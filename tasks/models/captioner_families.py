"""The captioning models that are supported, and checks of their files. Without torch."""

from __future__ import annotations

import importlib.util

from tasks.contract import ModelError
from tasks.models import folders

BLIP = "blip"  # has a decoder of its own here; all other families use ``generate``

#: The image encoder of each family whose outputs [N, S, D] depend on the image alone and have one
#: size, so that a stage computes them once. Other families encode their images at each step.
IMAGE_ENCODERS = {
    "blip-2": "vision_model",
    "git": "git.image_encoder",
    "instructblip": "vision_model",
    "paligemma": "model.vision_tower",
    "vision-encoder-decoder": "encoder",
}

#: The package that the processor of a family needs besides those of this project.
PACKAGES = {"smolvlm": "num2words"}


def find_captioner_family(name: str) -> str:
    """Return ``model_type`` of a captioning model's ``config.json``."""
    return str(folders.read_config(folders.find_folder(name)).get("model_type"))


def has_image_stage(family: str) -> bool:
    """Return whether a stage encodes the images of this family."""
    return family == BLIP or family in IMAGE_ENCODERS


def check_captioner(name: str) -> None:
    """Raise an error if a model cannot write captions. Reads only headers.

    Raises:
        ModelError: the message names the kind of model, or what is missing.
    """
    folder = folders.find_folder(name)
    kind = folders.read_config(folder).get("model_type")
    if kind != BLIP:
        _check_generates(name, kind)
    elif not any(key.startswith("text_decoder.") for key in folders.parameter_names(folder)):
        raise ModelError(
            f"{name} has no weights for a text decoder: it was saved for another task, such as "
            "retrieval; use a captioning checkpoint"
        )


def _check_generates(name: str, kind: object) -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    if kind not in list(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES):
        raise ModelError(
            f"{name} is a {kind!r} model; captioning takes an image-to-text model that "
            "transformers can load with AutoModelForImageTextToText, such as blip, git, "
            "vision-encoder-decoder or qwen2_5_vl"
        )
    package = PACKAGES.get(str(kind))
    if package is not None and importlib.util.find_spec(package) is None:
        raise ModelError(
            f"{name} is a {kind!r} model, whose processor needs {package}; run `pip install "
            f"{package}`"
        )
