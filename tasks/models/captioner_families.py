"""The captioning models that are supported, and checks of their files. Without torch."""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata

from packaging.requirements import Requirement

from tasks.contract import ModelError, Source
from tasks.models import folders

BLIP = "blip"  # has a decoder of its own here; all other families use ``generate``

#: The image encoder of each family whose outputs have one size, so that a stage computes them once.
IMAGE_ENCODERS = {
    "blip-2": "vision_model",
    "florence2": "model.vision_tower",
    "git": "git.image_encoder",
    "instructblip": "vision_model",
    "paligemma": "model.vision_tower",
    "vision-encoder-decoder": "encoder",
}

#: The families whose images have features of different sizes, which a stage computes once, too.
#: ``generate`` takes them as ``mm_encoder_outputs``.
FEATURE_FAMILIES = ("qwen2_5_vl", "qwen3_vl", "smolvlm")

_TAKES_FEATURES = "transformers>=5.18"
#: What a family needs besides the requirements of this project.
REQUIREMENTS = {
    "qwen2_5_vl": (_TAKES_FEATURES,),
    "qwen3_vl": (_TAKES_FEATURES,),
    "smolvlm": (_TAKES_FEATURES, "num2words"),
}


@lru_cache(maxsize=8)
def find_captioner_family(model: Source) -> str:
    """Return ``model_type`` of a captioning model's ``config.json``.

    It is read once per process, because finding the folder of a Hugging Face id takes requests.
    """
    return str(folders.read_config(folders.find_folder(model.name)).get("model_type"))


def has_image_stage(family: str) -> bool:
    """Return whether a stage encodes the images of this family."""
    return family == BLIP or family in IMAGE_ENCODERS or family in FEATURE_FAMILIES


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
    missing = [each for each in REQUIREMENTS.get(str(kind), ()) if not _is_installed(each)]
    if missing:
        quoted = " ".join(f"'{each}'" if ">" in each else each for each in missing)
        raise ModelError(
            f"{name} is a {kind!r} model, which needs {' and '.join(missing)}; run `pip install "
            f"{quoted}`"
        )


def _is_installed(requirement: str) -> bool:
    wanted = Requirement(requirement)
    try:
        return wanted.specifier.contains(metadata.version(wanted.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False
