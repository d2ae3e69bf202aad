"""Check the files of a model for segmentation. Without torch."""

from __future__ import annotations

from tasks.contract import ModelError, Source
from tasks.models import folders

FORMS = (
    "a Hugging Face id or a folder (safetensors) of a semantic segmentation model (SegFormer, "
    "UPerNet, DPT, MobileNetV2, Mask2Former), an image encoder, or an image-text model whose image "
    "encoder is used"
)

MASK2FORMER = "Mask2FormerForUniversalSegmentation"


def is_segmenter(name: str) -> bool:
    """Return whether a model is a semantic segmentation checkpoint with a head of its own."""
    return is_mask2former(name) or any(
        each.endswith("ForSemanticSegmentation") for each in _architectures(name)
    )


def is_mask2former(name: str) -> bool:
    """Return whether a model is a Mask2Former checkpoint."""
    return MASK2FORMER in _architectures(name)


def _architectures(name: str) -> list[str]:
    names = folders.read_config(folders.find_folder(name)).get("architectures") or []
    return [str(each) for each in names]


def resolve(name: str) -> Source:
    """Return a model with its fingerprint; a folder's path becomes absolute.

    Raises:
        ModelError: if the model does not exist or is damaged.
    """
    folder = folders.find_folder(name)
    if not isinstance(folders.read_config(folder).get("model_type"), str):
        raise ModelError(f"{folder}/config.json has no 'model_type'; add that of the model")
    return folders.resolve(name, ["image processor"])
