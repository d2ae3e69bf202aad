"""How an encoder of ``IMAGE+TEXT`` turns its tokens into features: as its own model does it.

B batch, T text tokens, S image tokens, C channels, D an encoder's width
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tasks.contract import ModelError
from tasks.models.folders import POOLING, read_json

Read = Callable[[Any, Mapping[str, Tensor]], Tensor]

#: The pooling of sentence-transformers by the flag that turns it on.
SENTENCE_POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
}


def image_pooling(model: nn.Module, *, has_pooler: bool) -> Read:
    """The pooled output of an image encoder.

    That is its ``pooler_output`` where the model offers one and its weights were saved: CLIP's
    [CLS] after the last layer norm, SigLIP's attention pooling, DINOv2's [CLS], the average of a
    convolutional network. Otherwise it is [CLS], or the mean of all tokens of a model without one.
    """
    has_cls = any(name.rpartition(".")[2] == "cls_token" for name, _ in model.named_parameters())

    def read(out: Any, _: Mapping[str, Tensor]) -> Tensor:
        pooled = getattr(out, "pooler_output", None)
        if has_pooler and pooled is not None:
            return pooled.flatten(1)  # type: ignore[no-any-return]  # [B, D] or [B, D, 1, 1]
        states: Tensor = out.last_hidden_state  # [B, S, D], or [B, C, H, W] of a convolutional one
        if states.ndim == 4:
            return states.mean(dim=(2, 3))
        return states[:, 0] if has_cls else states.mean(dim=1)

    return read


def tower_text_pooling(*, has_pooler: bool) -> Read:
    """The pooled output of the text half of an image-text model: CLIP's end token, for example."""

    def read(out: Any, _: Mapping[str, Tensor]) -> Tensor:
        pooled = getattr(out, "pooler_output", None)
        if has_pooler and pooled is not None:
            return pooled  # type: ignore[no-any-return]
        return out.last_hidden_state[:, 0]  # type: ignore[no-any-return]

    return read


def sentence_pooling(folder: Path) -> Read:
    """The pooling that ``1_Pooling/config.json`` of sentence-transformers names; mean otherwise.

    Raises:
        ModelError: if it names one that is not supported, or several.
    """
    file = folder / POOLING
    options = read_json(file) if file.is_file() else {}
    wanted = [key for key, on in options.items() if key.startswith("pooling_mode_") and on is True]
    named = options.get("pooling_mode")  # newer releases write the names instead of flags
    kinds = [SENTENCE_POOLING.get(key, key) for key in wanted]
    kinds += [named] if isinstance(named, str) else list(named or [])
    if len(kinds) > 1 or not set(kinds) <= set(SENTENCE_POOLING.values()):
        raise ModelError(
            f"{file} asks for {', '.join(map(str, wanted or kinds))}; "
            "one of cls, max, mean is supported"
        )
    return partial(_pool_tokens, kinds[0] if kinds else "mean")


def _pool_tokens(kind: str, out: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    states: Tensor = out.last_hidden_state  # [B, T, D]
    mask = inputs["attention_mask"][..., None].to(states.dtype)
    if kind == "cls":
        return states[:, 0]
    if kind == "max":
        return states.masked_fill(mask == 0, float("-inf")).amax(dim=1)
    return (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)
