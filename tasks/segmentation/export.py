"""Export a segmentation model: a Hugging Face folder, or an encoder with a separate head."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers.image_utils import PILImageResampling

from tasks.contract import Export, Trial
from tasks.models.loading import silence_transformers
from tasks.models.saving import find_license, hub_ids, save_folder
from tasks.segmentation import (
    adapters,
    checkpoints,
    exported,
    full,
    heads,
    network,
    pyramid,
    stages,
)
from tasks.segmentation.params import Params
from tasks.segmentation.registry import SCENES

_OWN_USAGE = """from PIL import Image
from transformers import AutoImageProcessor, AutoModelForSemanticSegmentation

processor = AutoImageProcessor.from_pretrained(".")
model = AutoModelForSemanticSegmentation.from_pretrained(".").eval()

image = Image.new("RGB", (320, 240), "gray")  # your image
logits = model(**processor(images=image, return_tensors="pt")).logits
mask = logits.argmax(1)[0]
print(mask.shape, [model.config.id2label[int(label)] for label in mask.unique()])
"""
_MASK2FORMER_USAGE = """from PIL import Image
from transformers import AutoImageProcessor, AutoModelForUniversalSegmentation

processor = AutoImageProcessor.from_pretrained(".")
model = AutoModelForUniversalSegmentation.from_pretrained(".").eval()

image = Image.new("RGB", (320, 240), "gray")  # your image
output = model(**processor(images=image, return_tensors="pt"))
(mask,) = processor.post_process_semantic_segmentation(output, target_sizes=[image.size[::-1]])
print(mask.shape, [model.config.id2label[int(label)] for label in mask.unique()])
"""
_USAGE = """from PIL import Image

from load import CLASSES, load

segment = load()
image = Image.new("RGB", (320, 240), "gray")  # your image
mask = segment(image)
print(mask.shape, [CLASSES[int(label)] for label in mask.unique()])
"""


def export(trial: Trial, arrays: Mapping[str, Any], classes: Sequence[str], folder: Path) -> Export:
    """Write the model with its trained weights into ``folder``.

    A checkpoint with its own head becomes a folder for ``from_pretrained``. A new head is written
    as ``head.safetensors``, next to the encoder and ``load.py``.
    """
    silence_transformers()
    params: Params = trial.params
    weights = {
        name.removeprefix("weight."): torch.as_tensor(value) for name, value in arrays.items()
    }
    if params.head == "own":
        is_mask2former = checkpoints.is_mask2former(trial.model.name)
        usage = _MASK2FORMER_USAGE if is_mask2former else _OWN_USAGE
        return _describe(trial, usage, _write_own(trial, weights, classes, folder))
    found = network.load_backbone(trial.model.name)
    head = weights
    if params.trainable != "head":
        model = full.build_trained(trial, classes, weights)
        assert isinstance(model, network.Segmenter)
        found = dataclasses.replace(found, encoder=model.pyramid.encoder)
        head = {k.replace("/", "."): v.data for k, v in model.head.items()}
    _write_parts(trial, found, head, classes, folder)
    notes = []
    if params.trainable == "lora":
        notes = [adapters.save_of_encoder(folder, weights, trial, found.submodule)]
    return _describe(trial, _USAGE, notes)


def _write_own(
    trial: Trial, weights: Mapping[str, Tensor], classes: Sequence[str], folder: Path
) -> list[str]:
    """Write the checkpoint with its trained weights; return notes on it."""
    model = full.build_trained(trial, classes, weights)
    assert not isinstance(model, network.Segmenter)
    processor = network.load_processor(trial.model.name)
    size = trial.params.image_size
    # As in the trial: the whole image, resized to a square; and the classes of the trial's data.
    settings = {
        "size": {"height": size, "width": size},
        "do_resize": True,
        "do_center_crop": False,
        "do_pad": False,
        "keep_aspect_ratio": False,
        "ensure_multiple_of": 1,
        "size_divisor": 0,
        "resample": PILImageResampling.BICUBIC,
        "do_reduce_labels": False,
    }
    for name, value in settings.items():
        if hasattr(processor, name):
            setattr(processor, name, value)
    save_folder(folder, model.model, processor)
    if trial.params.trainable != "lora":
        return []
    return [adapters.save_of_checkpoint(folder, weights, trial, model.model)]


def _write_parts(
    trial: Trial,
    found: network.Backbone,
    head: Mapping[str, Tensor],
    classes: Sequence[str],
    folder: Path,
) -> None:
    params: Params = trial.params
    save_folder(folder / "encoder", found.encoder, found.processor)
    contiguous = {name: value.float().contiguous() for name, value in head.items()}
    save_file(contiguous, folder / "head.safetensors")
    settings = {
        "encoder": type(found.encoder).__name__,
        "num_levels": stages.LEVELS[params.head],
        "image_size": params.image_size,
        "mean": found.normalize.mean,
        "std": found.normalize.std,
        "flip": params.flip,
        "classes": list(classes),
    }
    (folder / "settings.json").write_text(json.dumps(settings, indent=2) + "\n")
    for name, module in (("load", exported), ("heads", heads), ("pyramid", pyramid)):
        text = inspect.getsource(module).replace("from tasks.segmentation.", "from ")
        (folder / f"{name}.py").write_text(text)


def _describe(trial: Trial, usage: str, notes: Sequence[str]) -> Export:
    params: Params = trial.params
    notes = list(notes)
    if params.precision != "float32":
        notes.append(
            f"In the sweep the backbone computed in {params.precision}. The exported weights are "
            "float32, so results may differ slightly."
        )
    if params.flip and params.head == "own":
        notes.append(
            "The trial averaged the class probabilities of each image and its mirror image. This "
            "model does not."
        )
    if params.evaluation == "slide":
        notes.append(
            f"The trial was scored on sliding windows of {params.crop_size} pixels. This folder "
            f"resizes whole images to {params.image_size} pixels a side."
        )
    return Export(
        usage=usage,
        library="transformers",
        pipeline="image-segmentation",
        license=find_license(trial.model.name),
        data_license="mit" if trial.data.name == SCENES else None,  # drawn by this project
        base_models=hub_ids(trial.model.name),
        notes=notes,
    )
