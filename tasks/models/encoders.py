"""Two encoders on a device: what passes through them before the heads.

B batch, T tokens, S image tokens, D an encoder's width
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from tasks.interrupt import check_interrupt
from tasks.models.families import Features
from tasks.models.pooling import Read, all_tokens, first_token, last_token, pooler_output
from tasks.progress import report_progress

Array = np.ndarray[Any, Any]
Prepare = Callable[[Sequence[Any]], Mapping[str, Tensor]]

#: How a family's heads read the encoder's output.
READERS: dict[Features, Read] = {
    "first": first_token,
    "last": last_token,
    "pooled": pooler_output,
    "tokens": all_tokens,
}


class Tower(nn.Module):
    """A backbone and how features are read off its output: a dict of tensors -> [B, D]."""

    def __init__(self, backbone: nn.Module, read: Read) -> None:
        super().__init__()
        self.backbone, self.read = backbone, read

    def forward(self, **inputs: Tensor) -> Tensor:
        """Features before the head: [B, D], or [B, S, D] where the head itself pools."""
        return self.read(self.backbone(**inputs), inputs)


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """One modality: from images or captions to features."""

    tower: Tower
    prepare: Prepare  # a batch of RGB images or captions -> what the tower takes
    device: str
    precision: str

    def __call__(
        self, items: Sequence[Any], weights: Mapping[str, Tensor] | None = None
    ) -> Float[Tensor, "B ..."]:
        """Features in float32; with ``weights`` (by the tower's names), of those instead."""
        inputs = {name: value.to(self.device) for name, value in self.prepare(items).items()}
        dtype = getattr(torch, self.precision)
        half = dtype is not torch.float32
        with torch.autocast(self.device.split(":")[0], dtype=dtype, enabled=half):
            if weights is None:
                features = self.tower(**inputs)
            else:
                features = torch.func.functional_call(self.tower, dict(weights), (), inputs)
        return features.float()  # type: ignore[no-any-return]

    @torch.inference_mode()
    def encode(self, items: Sequence[Any]) -> Float[np.ndarray, "B ..."]:
        """Features of the frozen backbone."""
        return np.asarray(self(items).cpu().numpy())


@dataclass(frozen=True, kw_only=True)
class Dual:
    """An image-text model: two encoders, and the heads of its checkpoint where it has them."""

    image: Encoder
    text: Encoder
    heads: Mapping[str, Array]  # "image.weight" [P, D] and so on, as ``heads.py`` reads them

    def widths(self) -> tuple[int, int]:
        """The widths D of image and text features."""
        from PIL import Image

        image = self.image.encode([Image.new("RGB", (64, 64))])
        return image.shape[-1], self.text.encode(["a"]).shape[-1]


def prepare_images(processor: Any, images: Sequence[Any]) -> dict[str, Tensor]:
    """RGB images as the model's own processor gives them."""
    return {"pixel_values": processor(images=list(images), return_tensors="pt")["pixel_values"]}


def prepare_texts(
    tokenizer: Any, limit: int, pads_to_the_end: bool, texts: Sequence[str]
) -> dict[str, Tensor]:
    """Token ids [B, T], cut at the model's length."""
    tokens = tokenizer(
        list(texts),
        padding="max_length" if pads_to_the_end else True,
        truncation=True,
        max_length=limit,
        return_tensors="pt",
    )
    if pads_to_the_end:
        return {"input_ids": tokens["input_ids"]}
    return {"input_ids": tokens["input_ids"], "attention_mask": tokens["attention_mask"]}


def in_batches(
    encode: Callable[[Sequence[Any]], Array], items: Sequence[Any] | Any, size: int
) -> Array:
    """``encode`` over batches of ``size`` items; rows in order."""
    rows = []
    for first in range(0, len(items), size):
        check_interrupt()
        report_progress(first, len(items))
        rows.append(encode(items[first : first + size]))
    return np.concatenate(rows)
