"""Feature maps of an image encoder, from fine to coarse.

B batch, D width, h x w grid of a level, T tokens

This file is also written into exported models, so it imports nothing of this project.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

NUM_LEVELS = 4


class Pyramid(nn.Module):
    """An image encoder that returns its last ``num_levels`` feature maps [B, D, h, w]."""

    def __init__(self, encoder: nn.Module, num_levels: int) -> None:
        super().__init__()
        self.encoder, self.num_levels = encoder, num_levels
        accepted = inspect.signature(encoder.forward).parameters
        # Transformers with learned positions interpolate them for other sizes only if asked to.
        self._options = {
            name: True
            for name in ("output_hidden_states", "interpolate_pos_encoding")
            if name in accepted or name == "output_hidden_states"
        }

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Return the feature maps of normalized images [B, 3, H, W]."""
        out = self.encoder(pixel_values=pixels, **self._options)
        maps = getattr(out, "feature_maps", None)  # of a backbone
        if maps is None:
            maps = getattr(out, "reshaped_hidden_states", None)  # of Swin and its kin
        if maps is None:
            maps = out.hidden_states
        if maps[-1].ndim == 3:
            return self._grids(maps, pixels)
        return _coarsest(maps)[-self.num_levels :]

    def _grids(self, states: Sequence[Tensor], pixels: Tensor) -> list[Tensor]:
        """Return token states [B, T, D] as maps, of evenly spaced layers; the last one is last."""
        patch: Any = self.encoder.config.patch_size  # type: ignore[union-attr]
        high, wide = patch if isinstance(patch, (tuple, list)) else (patch, patch)
        height, width = pixels.shape[-2] // high, pixels.shape[-1] // wide
        layers = len(states) - 1
        number = min(self.num_levels, layers)
        chosen = [states[layers * (n + 1) // number] for n in range(number)]
        # Special tokens, such as [CLS] and registers, come first.
        return [
            tokens[:, tokens.shape[1] - height * width :]
            .transpose(1, 2)
            .reshape(len(tokens), -1, height, width)
            for tokens in chosen
        ]


def _coarsest(maps: Sequence[Tensor]) -> list[Tensor]:
    """Return the last map of each size."""
    last = {tuple(each.shape[-2:]): each for each in maps}
    return list(last.values())
