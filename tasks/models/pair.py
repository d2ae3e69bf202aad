"""``IMAGE+TEXT``: two encoders that never met, to be joined by new heads.

Each is a Hugging Face id or folder, or ``package.module:factory``: a function without arguments
that gives ``(module, prepare)``, where ``prepare(items)`` turns a list of RGB images (or captions)
into one tensor or a mapping of tensors, batch first, and ``module`` turns that into features
[B, D]. Where weights come from files, ``factory.files`` (a function that gives their paths) makes
them part of a trial's identity. ``pooling.py`` decides what a folder's features are.

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
    Dual,
    Encoder,
    Prepare,
    Tower,
    prepare_images,
    prepare_texts,
)
from tasks.models.families import FAMILIES, Family, is_factory, load_factory, split_pair
from tasks.models.folders import POOLING, find_folder, parameter_names, read_config
from tasks.models.loading import load_beside, load_checked
from tasks.models.pooling import Read, image_pooling, sentence_pooling, tower_text_pooling

# Where a model of both modalities keeps the one that is asked for.
TOWERS = {"image": ("vision_model",), "text": ("text_model", "text_encoder")}


def load_pair(name: str, device: str, precision: str) -> Dual:
    """Both encoders; there are no heads yet."""
    image, text = split_pair(name)
    return Dual(
        image=_load(image, "image", device, precision),
        text=_load(text, "text", device, precision),
        heads={},
    )


def _load(name: str, side: str, device: str, precision: str) -> Encoder:
    tower, prepare = _from_factory(name) if is_factory(name) else _from_folder(name, side)
    tower.to(device).eval()
    return Encoder(tower=tower, prepare=prepare, device=device, precision=precision)


class _Positional(nn.Module):
    """A module of one tensor, called by name as the others are."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, **inputs: Tensor) -> Any:
        return self.module(inputs["items"]) if "items" in inputs else self.module(**inputs)


def _from_factory(name: str) -> tuple[Tower, Prepare]:
    made = load_factory(name)()
    if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], nn.Module)):
        raise ModelError(f"{name} must give (module, prepare), but gave {type(made).__name__}")
    module, prepare = made

    def named(items: Any) -> Mapping[str, Tensor]:
        prepared = prepare(items)
        return {"items": prepared} if isinstance(prepared, Tensor) else prepared

    return Tower(_Positional(module), lambda out, _: _flat(name, out)), named


def _flat(name: str, out: Any) -> Tensor:
    if not isinstance(out, Tensor) or out.ndim != 2:
        shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ModelError(f"the module of {name} must give features [B, D], but gave {shape}")
    return out


@dataclass(frozen=True, kw_only=True)
class FolderEncoder:
    """An encoder from a model folder, and all that it takes to save and load it elsewhere."""

    model: Any  # the whole model, of which the encoder may be a half
    half: str  # the encoder's name in it; "" for the whole
    read: Read
    beside: Any  # its image processor or its tokenizer
    limit: int = 0  # tokens of a caption
    pads_to_the_end: bool = False  # SigLIP reads the last position, trained on padded captions

    def tower(self) -> Tower:
        """The encoder and its pooling."""
        return Tower(self.model.get_submodule(self.half), self.read)

    def prepare(self) -> Prepare:
        """What turns images or captions into its inputs."""
        if not self.limit:
            return partial(prepare_images, self.beside)
        return partial(prepare_texts, self.beside, self.limit, self.pads_to_the_end)


def _from_folder(name: str, side: str) -> tuple[Tower, Prepare]:
    found = load_folder(name, side)
    return found.tower(), found.prepare()


def load_folder(name: str, side: str) -> FolderEncoder:
    """The encoder of a folder or a Hugging Face id, of the side ``image`` or ``text``.

    Raises:
        ModelError: if it cannot be loaded.
    """
    folder = find_folder(name)
    kind = str(read_config(folder).get("model_type"))
    family = FAMILIES.get(kind)
    loader = getattr(transformers, family.model_class) if family else transformers.AutoModel
    # Many checkpoints of a ViT or a BERT have no pooler; then it is at random and is not read.
    has_pooler = any(".pooler." in f".{key}" for key in parameter_names(folder))
    model = load_checked(name, loader, partial(_used, family, side, has_pooler))
    half = next((name for name in TOWERS[side] if hasattr(model, name)), "")
    tower = model.get_submodule(half)
    has_pooler |= not any(".pooler." in f".{key}" for key in tower.state_dict())
    is_half = bool(half) or kind.endswith("_text_model")
    read: Read
    if kind == "blip":  # its pooler applies the last layer norm twice; its heads read this
        read = READERS["first"]
    elif side == "image":
        read = image_pooling(tower, has_pooler=has_pooler)
    elif is_half and not (folder / POOLING).is_file():
        read = tower_text_pooling(has_pooler=has_pooler)
    else:
        read = sentence_pooling(folder)
    if side == "image":
        processor = load_beside(name, "image processor", transformers.AutoImageProcessor)
        return FolderEncoder(model=model, half=half, read=read, beside=processor)
    tokenizer = load_beside(name, "tokenizer", transformers.AutoTokenizer)
    return FolderEncoder(
        model=model,
        half=half,
        read=read,
        beside=tokenizer,
        limit=min(tower.config.max_position_embeddings, tokenizer.model_max_length),
        pads_to_the_end=kind.startswith("siglip"),
    )


def _used(family: Family | None, side: str, has_pooler: bool, key: str) -> bool:
    if family:
        encoder = family.image_encoder if side == "image" else family.text_encoder
        return key.startswith(f"{encoder}.") and (has_pooler or ".pooler." not in key)
    other = TOWERS["text" if side == "image" else "image"]
    if key.startswith(tuple(f"{name}." for name in other)):
        return False
    return has_pooler or ".pooler." not in f".{key}"
