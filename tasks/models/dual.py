"""Image-text models with two projection heads: a frozen backbone, and the heads' own start.

B batch, D a backbone's width, P the width of the shared space
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from tasks.contract import ModelError
from tasks.models.folders import find_folder, parameter_names, read_config

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Where a family of models keeps its two heads."""

    model_class: str  # of transformers
    image_head: str
    text_head: str
    bias: bool


FAMILIES = {
    "blip": Family(
        model_class="BlipForImageTextRetrieval",
        image_head="vision_proj",
        text_head="text_proj",
        bias=True,
    ),
    "clip": Family(
        model_class="CLIPModel",
        image_head="visual_projection",
        text_head="text_projection",
        bias=False,
    ),
}


def find_family(name: str) -> Family:
    """The family that a model's ``config.json`` names.

    Raises:
        ModelError: if it is none of ours.
    """
    kind = read_config(find_folder(name)).get("model_type")
    if kind not in FAMILIES:
        raise ModelError(
            f"{name} is a {kind!r} model; image-text retrieval takes {', '.join(FAMILIES)}"
        )
    return FAMILIES[kind]


def check_heads(name: str) -> None:
    """Refuse a checkpoint that holds no trained heads: a library would draw them at random.

    Raises:
        ModelError: naming what is missing and how to go on.
    """
    family = find_family(name)
    wanted = {f"{head}.weight" for head in (family.image_head, family.text_head)}
    missing = sorted(wanted - parameter_names(find_folder(name)))
    if missing:
        raise ModelError(
            f"{name} has no pretrained heads ({', '.join(missing)} missing); add --set start=random"
        )


class DualEncoder:
    """A frozen image-text backbone on a device."""

    def __init__(self, name: str, device: str, precision: str) -> None:
        import torch
        import transformers

        transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity_error()
        folder, family = find_folder(name), find_family(name)
        options = {"local_files_only": True, "use_safetensors": True}
        self._torch, self._device, self._family = torch, device, family
        self._dtype = getattr(torch, precision)
        try:
            model = getattr(transformers, family.model_class).from_pretrained(folder, **options)
            self._images = transformers.AutoImageProcessor.from_pretrained(folder)
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            first = str(error).strip().splitlines()[0]
            raise ModelError(f"{name} cannot be loaded: {first}") from error
        self._model = model.to(device).eval()

    def heads(self) -> Mapping[str, Array]:
        """The checkpoint's heads: image.weight [P, D], text.weight [P, D], and biases [P]."""
        found = {}
        for side, head in (("image", self._family.image_head), ("text", self._family.text_head)):
            for part, value in getattr(self._model, head).state_dict().items():
                found[f"{side}.{part}"] = value.float().cpu().numpy()
        return found

    def encode_images(self, images: Sequence[Image.Image]) -> Float[np.ndarray, "B D"]:
        """Features before the head of RGB images."""
        pixels = self._images(images=list(images), return_tensors="pt")["pixel_values"]
        with self._torch.inference_mode(), self._autocast():
            out = self._model.vision_model(pixel_values=pixels.to(self._device))
            features = (
                out.last_hidden_state[:, 0]
                if self._family is FAMILIES["blip"]
                else out.pooler_output
            )
        return np.asarray(features.float().cpu().numpy())

    def encode_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "B D"]:
        """Features before the head of captions, cut at the model's length."""
        blip = self._family is FAMILIES["blip"]
        limit = self._model.config.text_config.max_position_embeddings
        tokens = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=limit, return_tensors="pt"
        ).to(self._device)
        encode = self._model.text_encoder if blip else self._model.text_model
        with self._torch.inference_mode(), self._autocast():
            out = encode(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
            features = out.last_hidden_state[:, 0] if blip else out.pooler_output
        return np.asarray(features.float().cpu().numpy())

    def _autocast(self) -> Any:
        half = self._dtype is not self._torch.float32
        kind = self._device.split(":")[0]
        return self._torch.autocast(kind, dtype=self._dtype, enabled=half)


@lru_cache(maxsize=2)
def load_dual(name: str, fingerprint: str, device: str, precision: str) -> DualEncoder:
    """The model, kept warm in this process for the stages that follow."""
    return DualEncoder(name, device, precision)


def in_batches(
    encode: Callable[[Sequence[Any]], Array], items: Sequence[Any] | Any, size: int
) -> Array:
    """``encode`` over batches of ``size`` items; rows in order."""
    rows = [encode(items[first : first + size]) for first in range(0, len(items), size)]
    return np.concatenate(rows)
