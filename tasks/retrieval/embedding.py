"""Embed images and captions of a split from frozen features.

N images, C captions, U distinct captions, B batch, P the width of the shared space
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tasks.contract import Inputs, Trial
from tasks.models.heads import project
from tasks.retrieval import stages

Array = np.ndarray[Any, Any]
Weights = Mapping[str, Tensor]


class Embedder(Protocol):
    """Embeds one split, in one epoch of a trial."""

    row: Array  # [C] index of each caption into the distinct captions
    owner: Array  # [C] the image of each caption

    @property
    def num_images(self) -> int:
        """The number of images."""
        ...

    @property
    def num_texts(self) -> int:
        """The number of distinct captions."""
        ...

    def names(self) -> tuple[Sequence[str], Sequence[str]]:
        """Return the ids of the images and the distinct captions."""
        ...

    def images(self, weights: Weights, rows: Int[Tensor, " B"]) -> Float[Tensor, "B P"]:
        """Return unit vectors of images by index."""
        ...

    def texts(self, weights: Weights, rows: Int[Tensor, " B"]) -> Float[Tensor, "B P"]:
        """Return unit vectors of distinct captions by index."""
        ...


def open_split(
    trial: Trial,
    split: str,
    draw: tuple[int, int] | None,
    inputs: Inputs,
    device: str,
    cache: dict[int, Tensor] | None = None,
) -> FrozenFeatures:
    """Return the embedder of a split from the features of the frozen backbone.

    ``draw`` is the (seed, epoch) of the augmentation, or None. ``cache`` holds features that are
    already on the device, by the ``id`` of their array.
    """
    cache = {} if cache is None else cache
    texts = inputs[stages.texts_stage(trial, split)]
    images = inputs[stages.images_stage(trial, split, draw)]["features"]
    return FrozenFeatures(
        image_features=_tensor(images, device, cache),
        text_features=_tensor(texts["features"], device, cache),
        row=texts["row"],
        owner=texts["owner"],
        encoded_names=texts["names"],
    )


@dataclass(kw_only=True)
class FrozenFeatures:
    """Embeds a split from features that the frozen backbone computed before."""

    image_features: Float[Tensor, "N ..."]
    text_features: Float[Tensor, "U ..."]
    row: Array
    owner: Array
    encoded_names: Array  # see ``stages.to_names``

    def names(self) -> tuple[Sequence[str], Sequence[str]]:
        """Return the ids of the images and the distinct captions."""
        return stages.read_names(self.encoded_names)

    @property
    def num_images(self) -> int:
        """The number of images N."""
        return len(self.image_features)

    @property
    def num_texts(self) -> int:
        """The number of distinct captions U."""
        return len(self.text_features)

    def images(self, weights: Weights, rows: Tensor) -> Tensor:
        """Return unit vectors of images by index."""
        return project(weights, "image", self.image_features[rows])

    def texts(self, weights: Weights, rows: Tensor) -> Tensor:
        """Return unit vectors of distinct captions by index."""
        return project(weights, "text", self.text_features[rows])


def _tensor(array: Array, device: str, cache: dict[int, Tensor]) -> Tensor:
    if id(array) not in cache:
        # from_dlpack converts a read-only array without a copy and without a warning.
        cache[id(array)] = torch.from_dlpack(array).to(device)
    return cache[id(array)]
