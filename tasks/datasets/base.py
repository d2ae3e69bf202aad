"""A split of a captioned data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Images with at least one caption each. ``load`` reads an image when it is needed."""

    image_ids: tuple[str, ...]
    captions: tuple[tuple[str, ...], ...]  # one tuple per image
    load: Callable[[int], Image.Image]  # returns the i-th image, RGB

    def __len__(self) -> int:
        return len(self.image_ids)
