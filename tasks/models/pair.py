"""Load ``IMAGE+TEXT``: two encoders that were trained separately and get new heads.

Each one is a Hugging Face id, a folder, or ``package.module:factory``, a function without arguments
that returns ``(module, prepare)``. ``prepare(items)`` turns a list of RGB images (or captions) into
one tensor or a mapping of tensors, batch first, and ``module`` turns those into features [B, D]. If
the factory loads weights from files, ``factory.files()`` must return their paths: they become part
of a trial's id. For a folder, ``pooling.py`` chooses the features.

B batch, D an encoder's width
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import transformers
from torch import Tensor, nn

from tasks.contract import ModelError
from tasks.models.encoders import (
    READERS,
    DualEncoder,
    Encoder,
    Prepare,
    Tower,
    prepare_images,
)
from tasks.models.factories import is_factory, load_factory
from tasks.models.families import FAMILIES, Family, split_pair
from tasks.models.folders import POOLING, find_folder, parameter_names, read_config
from tasks.models.loading import load_checked, load_preprocessor
from tasks.models.pooling import Read, image_pooling, sentence_pooling, tower_text_pooling
from tasks.models.texts import TextPreparation, text_length

# The names of the encoder of a modality in models that have both.
TOWERS = {"image": ("vision_model",), "text": ("text_model", "text_encoder")}


def load_pair(name: str, device: str, precision: str) -> DualEncoder:
    """Load both encoders; the pair has no heads yet."""
    image, text = split_pair(name)
    return DualEncoder(
        image=_load(image, "image", device, precision),
        text=_load(text, "text", device, precision),
        heads={},
    )


def _load(name: str, side: str, device: str, precision: str) -> Encoder:
    tower, prepare = _from_factory(name) if is_factory(name) else _from_folder(name, side)
    tower.to(device).eval()
    return Encoder(tower=tower, prepare=prepare, device=device, precision=precision)


class _FactoryModule(nn.Module):
    """Adapts a factory's module, which may take one positional tensor, to keyword inputs."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, **inputs: Tensor) -> Any:
        return self.module(inputs["items"]) if "items" in inputs else self.module(**inputs)


def _from_factory(name: str) -> tuple[Tower, Prepare]:
    made = load_factory(name)()
    if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], nn.Module)):
        kind = type(made).__name__
        raise ModelError(f"{name} must return (module, prepare), but returned {kind}")
    module, prepare = made

    def named(items: Any) -> Mapping[str, Tensor]:
        prepared = prepare(items)
        return {"items": prepared} if isinstance(prepared, Tensor) else prepared

    return Tower(_FactoryModule(module), lambda out, _: _check_features(name, out)), named


def _check_features(name: str, out: Any) -> Tensor:
    if not isinstance(out, Tensor) or out.ndim != 2:
        shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ModelError(f"the module of {name} must return features [B, D], but returned {shape}")
    return out


@dataclass(frozen=True, kw_only=True)
class FolderEncoder:
    """An encoder from a model folder, with everything needed to save it and load it again."""

    model: Any  # the whole model
    submodule: str  # the encoder's name in the model; "" if it is the whole model
    read: Read
    preprocessor: Any  # the image processor or the tokenizer
    texts: TextPreparation | None = None  # None for images

    def tower(self) -> Tower:
        """Return the encoder with its pooling."""
        return Tower(self.model.get_submodule(self.submodule), self.read)

    def prepare(self) -> Prepare:
        """Return the function that turns images or captions into inputs of the encoder."""
        return self.texts or partial(prepare_images, self.preprocessor)


def _from_folder(name: str, side: str) -> tuple[Tower, Prepare]:
    found = load_folder(name, side)
    return found.tower(), found.prepare()


def load_folder(name: str, side: str) -> FolderEncoder:
    """Load the encoder of a side (``image`` or ``text``) from a folder or a Hugging Face id.

    Raises:
        ModelError: if it cannot be loaded.
    """
    folder = find_folder(name)
    kind = str(read_config(folder).get("model_type"))
    family = FAMILIES.get(kind)
    loader = getattr(transformers, family.model_class) if family else transformers.AutoModel
    # Many checkpoints of a ViT or a BERT have no pooler weights: then the pooler is not used.
    has_pooler = any(".pooler." in f".{key}" for key in parameter_names(folder))
    model = load_checked(name, loader, partial(_is_used, family, side, has_pooler))
    submodule = next((name for name in TOWERS[side] if hasattr(model, name)), "")
    tower = model.get_submodule(submodule)
    has_pooler |= not any(".pooler." in f".{key}" for key in tower.state_dict())
    is_half = bool(submodule) or kind.endswith("_text_model")
    read: Read
    if kind == "blip":  # BLIP's heads take the first token; its pooler repeats the last layer norm
        read = READERS["first"]
    elif side == "image":
        read = image_pooling(tower, has_pooler=has_pooler)
    elif is_half and not (folder / POOLING).is_file():
        read = tower_text_pooling(has_pooler=has_pooler)
    else:
        read = sentence_pooling(folder)
    if side == "image":
        processor = load_preprocessor(name, "image processor", transformers.AutoImageProcessor)
        return FolderEncoder(model=model, submodule=submodule, read=read, preprocessor=processor)
    tokenizer = load_preprocessor(name, "tokenizer", transformers.AutoTokenizer)
    return FolderEncoder(
        model=model,
        submodule=submodule,
        read=read,
        preprocessor=tokenizer,
        texts=TextPreparation(
            tokenizer=tokenizer,
            max_length=text_length(tower.config, tokenizer),
            pads_to_max_length=kind.startswith("siglip"),  # it reads the last position
        ),
    )


def _is_used(family: Family | None, side: str, has_pooler: bool, key: str) -> bool:
    if family:
        encoder = family.image_encoder if side == "image" else family.text_encoder
        return key.startswith(f"{encoder}.") and (has_pooler or ".pooler." not in key)
    other = TOWERS["text" if side == "image" else "image"]
    if key.startswith(tuple(f"{name}." for name in other)):
        return False
    return has_pooler or ".pooler." not in f".{key}"
