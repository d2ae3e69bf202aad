"""Embed a split with encoders that are trained.

K stacked trials, N images, U distinct captions, B batch, P the width of the shared space
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tasks.contract import Trial
from tasks.datasets.base import Split
from tasks.datasets.registry import load_split
from tasks.models.encoders import DualEncoder
from tasks.models.heads import CONSTANTS, can_stack, project
from tasks.retrieval import network, stages
from tasks.retrieval.network import Weights

Array = np.ndarray[Any, Any]
Draw = tuple[int, int] | None  # (seed, epoch) of an augmentation
Inputs = Mapping[str, Tensor]


@dataclass(kw_only=True)
class NetworkSplit:
    """Embeds a split with the encoders of a trial, or of a stack; see ``embedding.Embedder``.

    Weights and vectors of a stack of several trials have a leading dimension of K.
    """

    dual: DualEncoder
    split: Split
    draws: Sequence[Draw]  # of each trial
    captions: list[str]
    row: Array
    owner: Array
    #: Vectors of all images [N, P] and distinct captions [U, P], if they are known already.
    vectors: tuple[Tensor, Tensor] | None = None

    @classmethod
    def open(
        cls,
        trials: Sequence[Trial],
        split: str,
        draws: Sequence[Draw],
        weights: Weights,
        device: str,
    ) -> NetworkSplit:
        """Return a split with the weights of trials, which take the same captions."""
        data = load_split(trials[0].data.name, split)
        captions, row, owner = stages.index_captions(data.captions, trials[0].params.num_captions)
        dual = network.build(trials, weights, device)
        return cls(dual=dual, split=data, draws=draws, captions=captions, row=row, owner=owner)

    def names(self) -> tuple[Sequence[str], Sequence[str]]:
        """Return the ids of the images and the distinct captions."""
        return self.split.image_ids, self.captions

    @property
    def num_images(self) -> int:
        """The number of images N."""
        return len(self.split)

    @property
    def num_texts(self) -> int:
        """The number of distinct captions U."""
        return len(self.captions)

    def load_images(self, rows: Int[Tensor, "K B"]) -> Inputs:
        """Return images of each trial by index as inputs [K * B, ...] of the image encoder.

        An image that several trials augment alike is loaded and prepared once.
        """
        each = zip(self.draws, rows.tolist(), strict=True)
        return self._prepare([(draw, row) for draw, own in each for row in own])

    def _prepare(self, wanted: Sequence[tuple[Draw, int]]) -> Inputs:
        distinct = {each: number for number, each in enumerate(dict.fromkeys(wanted))}
        images = [
            image
            for draw, group in groupby(distinct, key=itemgetter(0))
            for image in stages.load_images(self.split, [row for _, row in group], draw)
        ]
        inputs = self.dual.image.prepare(images)
        if len(distinct) == len(wanted):
            return inputs
        places = torch.tensor([distinct[each] for each in wanted])
        return {name: value[places] for name, value in inputs.items()}

    def load_texts(self, rows: Int[Tensor, "*K B"]) -> Inputs:
        """Return distinct captions by index as inputs [K * B, ...] of the text encoder."""
        return self.dual.text.prepare([self.captions[row] for row in rows.flatten().tolist()])

    def project(
        self, weights: Weights, side: str, features: Float[Tensor, "KB ..."]
    ) -> Float[Tensor, "*K B P"]:
        """Return unit vectors of features [K * B, ...], with the heads in ``weights``."""
        size = len(self.draws)
        if size == 1:
            return project(weights, side, features)
        each = features.reshape(size, -1, *features.shape[1:])
        if can_stack(weights):
            return project(weights, side, each)
        members = (
            {name: v if name.endswith(CONSTANTS) else v[index] for name, v in weights.items()}
            for index in range(size)
        )
        return torch.stack([project(own, side, f) for own, f in zip(members, each, strict=True)])

    def images(self, weights: Weights, rows: Int[Tensor, " B"]) -> Float[Tensor, "*K B P"]:
        """Return unit vectors of images by index, with the heads in ``weights``."""
        if self.vectors is not None:
            return self.vectors[0][rows]
        inputs = self._prepare([(self.draws[0], row) for row in rows.tolist()])
        features = self.dual.image.compute(self._repeat(inputs))
        return self.project(weights, "image", features)

    def texts(self, weights: Weights, rows: Int[Tensor, " B"]) -> Float[Tensor, "*K B P"]:
        """Return unit vectors of distinct captions by index, with the heads in ``weights``."""
        if self.vectors is not None:
            return self.vectors[1][rows]
        features = self.dual.text.compute(self._repeat(self.load_texts(rows)))
        return self.project(weights, "text", features)

    def _repeat(self, inputs: Inputs) -> Inputs:
        """Return inputs once for each trial."""
        size = len(self.draws)
        if size == 1:
            return inputs
        return {name: value.repeat(size, *[1] * (value.ndim - 1)) for name, value in inputs.items()}
