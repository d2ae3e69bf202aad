"""``IMAGE+TEXT``: two encoders that never met, to be joined by new heads.

Each is a Hugging Face id or folder, or ``package.module:factory``: a function without arguments
that gives ``(module, prepare)``, where ``prepare(items)`` turns a list of RGB images (or captions)
into one tensor or a mapping of tensors, batch first, and ``module`` turns that into features
[B, D]. Where weights come from files, ``factory.files`` (a function that gives their paths) makes
them part of a trial's identity.

B batch, T tokens, C channels, D an encoder's width
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import transformers
from torch import Tensor, nn

from tasks.contract import ModelError
from tasks.models.dual import Dual, Encoder, Prepare, Tower, load_beside, load_checked
from tasks.models.dual import prepare_images as _prepare_images
from tasks.models.dual import prepare_texts as _prepare_texts
from tasks.models.families import is_factory, load_factory, split_pair
from tasks.models.folders import find_folder

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


def _from_folder(name: str, side: str) -> tuple[Tower, Prepare]:
    folder = find_folder(name)
    # A pooler on top may be missing: pooling is over the tokens, as sentence encoders do it.
    model = load_checked(name, transformers.AutoModel, partial(_used, side))
    for attribute in TOWERS[side]:
        model = getattr(model, attribute, model)
    if side == "image":
        processor = load_beside(name, "image processor", transformers.AutoImageProcessor)
        return Tower(model, _mean_image), partial(_prepare_images, processor)
    tokenizer = load_beside(name, "tokenizer", transformers.AutoTokenizer)
    limit = min(model.config.max_position_embeddings, tokenizer.model_max_length)
    return Tower(model, _pooling(folder)), partial(_prepare_texts, tokenizer, limit, False)


def _used(side: str, key: str) -> bool:
    other = TOWERS["text" if side == "image" else "image"]
    return "pooler" not in key and not key.startswith(tuple(f"{name}." for name in other))


def _mean_image(out: Any, _: Mapping[str, Tensor]) -> Tensor:
    states: Tensor = out.last_hidden_state  # [B, S, D], or [B, C, H, W] of a convolutional model
    return states.mean(dim=(2, 3)) if states.ndim == 4 else states.mean(dim=1)


def _pooling(folder: Path) -> Callable[[Any, Mapping[str, Tensor]], Tensor]:
    """The pooling that ``1_Pooling/config.json`` of sentence-transformers names; mean otherwise."""
    file = folder / "1_Pooling" / "config.json"
    options = json.loads(file.read_text()) if file.is_file() else {}
    kinds = {
        "cls": options.get("pooling_mode_cls_token"),
        "max": options.get("pooling_mode_max_tokens"),
        "mean": options.get("pooling_mode_mean_tokens"),
    }
    chosen = [kind for kind, wanted in kinds.items() if wanted] or ["mean"]
    others = [key for key, on in options.items() if key.startswith("pooling_mode") and on is True]
    if len(chosen) > 1 or len(others) > 1 or (others and chosen == ["mean"] and not kinds["mean"]):
        raise ModelError(f"{file} asks for {', '.join(others)}; one of cls, max, mean is supported")
    return partial(_pool, chosen[0])


def _pool(kind: str, out: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    states: Tensor = out.last_hidden_state  # [B, T, D]
    mask = inputs["attention_mask"][..., None].to(states.dtype)
    if kind == "cls":
        return states[:, 0]
    if kind == "max":
        return states.masked_fill(mask == 0, float("-inf")).amax(dim=1)
    return (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)
