"""From rows of a split to unit vectors: over frozen features, or through the whole model.

N images, U distinct captions, B batch, D an encoder's width, P the width of the shared space
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tasks.contract import Inputs, Trial
from tasks.datasets.base import Split
from tasks.datasets.registry import load_split
from tasks.models.dual import load_dual
from tasks.models.encoders import Dual
from tasks.models.heads import project
from tasks.retrieval import stages

Array = np.ndarray[Any, Any]
Weights = Mapping[str, Tensor]


class Embedder(Protocol):
    """One split as a trial sees it in one epoch."""

    row: Array  # [C] of each caption into the distinct ones
    owner: Array  # [C] the image of each caption

    @property
    def num_images(self) -> int:
        """Images of the split."""
        ...

    @property
    def num_texts(self) -> int:
        """Distinct captions of the split."""
        ...

    def images(self, weights: Weights, rows: Int[Tensor, " B"]) -> Float[Tensor, "B P"]:
        """Unit vectors of these images."""
        ...

    def texts(self, weights: Weights, rows: Int[Tensor, " B"]) -> Float[Tensor, "B P"]:
        """Unit vectors of these distinct captions."""
        ...


def open_split(
    trial: Trial,
    split: str,
    draw: tuple[int, int] | None,
    inputs: Inputs,
    device: str,
    held: dict[int, Tensor] | None = None,
) -> Embedder:
    """The split over the trial's frozen features, or through its own whole model.

    ``held`` are features that are on the device already, by the ``id`` of their array.
    """
    held = {} if held is None else held
    if trial.params.trainable == "full":
        return _WholeModel.open(trial, split, draw, device)
    texts = inputs[stages.texts_stage(trial, split)]
    images = inputs[stages.images_stage(trial, split, draw)]["features"]
    return FrozenFeatures(
        image_features=_tensor(images, device, held),
        text_features=_tensor(texts["features"], device, held),
        row=texts["row"],
        owner=texts["owner"],
    )


@dataclass(kw_only=True)
class FrozenFeatures:
    """A split that passed through the backbone beforehand."""

    image_features: Float[Tensor, "N ..."]
    text_features: Float[Tensor, "U ..."]
    row: Array
    owner: Array

    @property
    def num_images(self) -> int:
        """N."""
        return len(self.image_features)

    @property
    def num_texts(self) -> int:
        """U."""
        return len(self.text_features)

    def images(self, weights: Weights, rows: Tensor) -> Tensor:
        """Unit vectors of these images."""
        return project(weights, "image", self.image_features[rows])

    def texts(self, weights: Weights, rows: Tensor) -> Tensor:
        """Unit vectors of these distinct captions."""
        return project(weights, "text", self.text_features[rows])


@dataclass(kw_only=True)
class _WholeModel:
    dual: Dual
    split: Split
    draw: tuple[int, int] | None
    captions: list[str]
    row: Array
    owner: Array

    @classmethod
    def open(
        cls, trial: Trial, split: str, draw: tuple[int, int] | None, device: str
    ) -> _WholeModel:
        model, data = trial.model, load_split(trial.data.name, split)
        captions, row, owner = stages.index_captions(data.captions, trial.params.num_captions)
        dual = load_dual(model.name, model.fingerprint, device, trial.params.precision)
        return cls(dual=dual, split=data, draw=draw, captions=captions, row=row, owner=owner)

    @property
    def num_images(self) -> int:
        return len(self.split)

    @property
    def num_texts(self) -> int:
        return len(self.captions)

    def images(self, weights: Weights, rows: Tensor) -> Tensor:
        items = stages.load_images(self.split, rows.tolist(), self.draw)
        return project(weights, "image", self.dual.image(items, _backbone(weights, "image")))

    def texts(self, weights: Weights, rows: Tensor) -> Tensor:
        items = [self.captions[row] for row in rows.tolist()]
        return project(weights, "text", self.dual.text(items, _backbone(weights, "text")))


def backbone_weights(trial: Trial, device: str) -> dict[str, Tensor]:
    """Copies of both encoders' weights, by ``backbone.<side>.<name>``: a full trial's start."""
    model = trial.model
    dual = load_dual(model.name, model.fingerprint, device, trial.params.precision)
    return {
        f"backbone.{side}.{name}": parameter.detach().clone()
        for side, encoder in (("image", dual.image), ("text", dual.text))
        for name, parameter in encoder.tower.named_parameters()
    }


def _backbone(weights: Weights, side: str) -> dict[str, Tensor]:
    prefix = f"backbone.{side}."
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def _tensor(array: Array, device: str, held: dict[int, Tensor]) -> Tensor:
    if id(array) not in held:
        # from_dlpack reads a read-only array without a copy and without a warning.
        held[id(array)] = torch.from_dlpack(array).to(device)
    return held[id(array)]
