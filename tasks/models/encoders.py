"""An image encoder and a text encoder, which compute the features that heads project.

B batch, T tokens, S image tokens, D an encoder's width, P the width of the shared space
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from tasks.autocast import autocast
from tasks.interrupt import check_interrupt
from tasks.models.families import Features
from tasks.models.pooling import (
    Read,
    all_tokens,
    first_token,
    last_token,
    pooler_output,
    valid_tokens,
)
from tasks.progress import report_progress

Array = np.ndarray[Any, Any]
Prepare = Callable[[Sequence[Any]], Mapping[str, Tensor]]

#: Functions that turn an encoder's output into the features that a family's heads take.
READERS: dict[Features, Read] = {
    "first": first_token,
    "last": last_token,
    "pooled": pooler_output,
    "tokens": all_tokens,
    "valid_tokens": valid_tokens,
}
#: The inputs that image encoders take; the last two are SigLIP 2's.
IMAGE_INPUTS = ("pixel_values", "pixel_attention_mask", "spatial_shapes")


class Tower(nn.Module):
    """A backbone and the function that reads features from its output."""

    def __init__(self, backbone: nn.Module, read: Read) -> None:
        super().__init__()
        self.backbone, self.read = backbone, read

    def forward(self, **inputs: Tensor) -> Tensor:
        """Return the features for the head: [B, D], or [B, S, D] if the head itself pools."""
        return self.read(self.backbone(**inputs), inputs)


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """The encoder of one modality: computes features of images or captions."""

    tower: Tower
    prepare: Prepare  # turns a batch of RGB images or captions into inputs of the tower
    device: str
    precision: str

    def __call__(self, items: Sequence[Any]) -> Float[Tensor, "B ..."]:
        """Return features of images or captions in float32."""
        return self.compute(self.prepare(items))

    def compute(self, inputs: Mapping[str, Tensor]) -> Float[Tensor, "B ..."]:
        """Return features of prepared inputs in float32."""
        with self.autocast():
            features = self.tower(**self.move(inputs))
        return features.float()  # type: ignore[no-any-return]

    def compute_with_tokens(
        self, inputs: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "B ..."], Float[Tensor, "B S D"]]:
        """Return features of prepared inputs in float32, and all tokens of the encoder."""
        own = self.move(inputs)
        with self.autocast():
            out = self.tower.backbone(**own)
            features = self.tower.read(out, own)
        return features.float(), out.last_hidden_state

    def move(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return prepared inputs on the device of the encoder."""
        return {name: value.to(self.device, non_blocking=True) for name, value in inputs.items()}

    def autocast(self) -> torch.autocast:
        """Return a context manager in which the encoder computes at its precision."""
        return autocast(self.device, self.precision)

    @torch.inference_mode()
    def encode(self, items: Sequence[Any]) -> Float[np.ndarray, "B ..."]:
        """Return features of the frozen backbone."""
        return np.asarray(self(items).cpu().numpy())


@dataclass(frozen=True, kw_only=True)
class DualEncoder:
    """An image-text model: two encoders, and the checkpoint's heads if it has any."""

    image: Encoder
    text: Encoder
    heads: Mapping[str, Array]  # "image.weight" [P, D] and others; see ``heads.py``
    matching: nn.Linear | None = None  # BLIP's matching head, [CLS] of the text -> no, yes

    def widths(self) -> tuple[int, int]:
        """Return the widths D of image and text features."""
        from PIL import Image

        image = self.image.encode([Image.new("RGB", (64, 64))])
        return image.shape[-1], self.text.encode(["a"]).shape[-1]


def prepare_images(processor: Any, images: Sequence[Any]) -> dict[str, Tensor]:
    """Return RGB images as inputs of the model, from its own image processor."""
    found = processor(images=list(images), return_tensors="pt")
    return {name: found[name] for name in IMAGE_INPUTS if name in found}


def in_batches(
    encode: Callable[[Sequence[Any]], Array], items: Sequence[Any] | Any, size: int
) -> Array:
    """Apply ``encode`` to batches of ``size`` items and concatenate the results in order."""
    rows = []
    for first in range(0, len(items), size):
        check_interrupt()
        report_progress(first, len(items))
        rows.append(encode(items[first : first + size]))
    return np.concatenate(rows)
