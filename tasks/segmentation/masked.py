"""A split of a data set whose images have masks, and the drawn scenes as such a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.datasets import scenes
from tasks.datasets.scenes import world

IGNORE = 255  # the label of pixels that count neither in losses nor in scores
SCENE_CLASSES = ("background", *world.SHAPES)

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
    drawn = scenes.load_split(split)
    return MaskedSplit(
        image_ids=drawn.image_ids,
        classes=SCENE_CLASSES,
        load=drawn.load,
        load_mask=lambda index: _scene_mask(index, split),
    )


def _scene_mask(index: int, split: str) -> Mask:
    """Label each pixel with the shape that covers at least half of it; 0 where none does."""
    labels = np.zeros((scenes.SIZE, scenes.SIZE), np.uint8)
    for group, mask in scenes.draw_with_masks(index, split)[1]:
        labels[mask >= 0.5] = SCENE_CLASSES.index(group.shape)
    return labels
