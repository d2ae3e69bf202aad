"""What every captioned data set gives: a split of images with their captions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Images with at least one caption each; pixels are read when asked for."""

    image_ids: tuple[str, ...]
    captions: tuple[tuple[str, ...], ...]  # one tuple per image
    load: Callable[[int], Image.Image]  # the i-th image, RGB

    def __len__(self) -> int:
        return len(self.image_ids)
