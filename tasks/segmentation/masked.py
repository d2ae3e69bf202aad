"""A split of a data set whose images have masks, and the drawn scenes as such a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.datasets import scenes
from tasks.datasets.scenes import world

IGNORE = 255  # the label of pixels that count neither in losses nor in scores
SCENE_CLASSES = ("background", *world.SHAPES)
MAX_DRAWN = 3000  # scenes that stay in memory, about train and val; 16 kB each

Mask = NDArray[np.uint8]  # [H, W] class of each pixel, or IGNORE


def column_of(name: str) -> str:
    """Return the name of a class in the names of metrics."""
    return name.replace(" ", "_")


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskedSplit:
    """Images with a mask each. ``load`` and ``load_mask`` read one when it is needed."""

    image_ids: tuple[str, ...]
    classes: tuple[str, ...]
    load: Callable[[int], Image.Image]  # returns the i-th image, RGB
    load_mask: Callable[[int], Mask]  # returns the i-th mask, as large as its image

    def __len__(self) -> int:
        return len(self.image_ids)


def load_scenes(split: str) -> MaskedSplit:
    """Return a split of the drawn scenes; the class of a pixel is the shape of its object.

    Raises:
        DataError: if there is no such split.
    """
    return MaskedSplit(
        image_ids=scenes.load_split(split).image_ids,
        classes=SCENE_CLASSES,
        load=lambda index: Image.fromarray(_draw_scene(index, split)[0]),
        load_mask=lambda index: _draw_scene(index, split)[1],
    )


@lru_cache(maxsize=MAX_DRAWN)
def _draw_scene(index: int, split: str) -> tuple[NDArray[np.uint8], Mask]:
    """Draw an image, and label each pixel with the shape that covers at least half of it, or 0."""
    pixels, objects = scenes.draw_with_masks(index, split)
    labels = np.zeros((scenes.SIZE, scenes.SIZE), np.uint8)
    for group, mask in objects:
        labels[mask >= 0.5] = SCENE_CLASSES.index(group.shape)
    return pixels, labels
