"""The encoders of a trial that trains them: in full, or by adapters.

N images, U distinct captions, B batch, P the width of the shared space
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from tasks.arrays import select
from tasks.contract import ModelError, Trial
from tasks.datasets.base import Split
from tasks.datasets.registry import load_split
from tasks.models import layer_scales, lora
from tasks.models.checkpointing import checkpoint_layers
from tasks.models.dual import load_dual_encoder
from tasks.models.encoders import DualEncoder, Encoder
from tasks.models.heads import project
from tasks.models.lora_params import lora_scale
from tasks.models.sharing import copy_with
from tasks.models.texts import adapt_texts
from tasks.retrieval import stages
from tasks.retrieval.params import Params

Array = np.ndarray[Any, Any]
Weights = Mapping[str, Tensor]

ADAPTERS, BACKBONE = "lora", "backbone"  # how the names of weights start


def initial_weights(trial: Trial, device: str) -> dict[str, Tensor]:
    """Return the trained weights of both encoders at the start of a trial.

    They are ``backbone.<side>.<parameter of the tower>``, copies of the checkpoint's, or
    ``lora.<side>.<layer of the backbone>.A`` and ``.B``, new adapters.

    Raises:
        ModelError: if no layer matches ``lora_targets``.
    """
    dual = _load(trial, device)
    if trial.params.trainable == "lora":
        return {name: value.to(device) for name, value in _adapters(dual, trial).items()}
    return {
        f"{BACKBONE}.{side}.{name}": parameter.detach().clone()
        for side, encoder in _sides(dual).items()
        for name, parameter in encoder.tower.named_parameters()
    }


def _load(trial: Trial, device: str) -> DualEncoder:
    model = trial.model
    dual = load_dual_encoder(model.name, model.fingerprint, device, trial.params.precision)
    return adapt_texts(dual, trial.params.max_tokens, trial.params.lower_case)


def _sides(dual: DualEncoder) -> dict[str, Encoder]:
    return {"image": dual.image, "text": dual.text}


def _adapters(dual: DualEncoder, trial: Trial) -> dict[str, Tensor]:
    params: Params = trial.params
    assert params.lora_rank is not None
    assert params.lora_targets is not None
    items: dict[str, list[Any]] = {"image": [Image.new("RGB", (64, 64))], "text": ["a"]}
    shapes: dict[str, tuple[int, int]] = {}
    for side, encoder in _sides(dual).items():
        found = lora.find_layers(
            encoder.tower.backbone,
            params.lora_targets,
            lambda encoder=encoder, side=side: encoder(items[side]),  # type: ignore[misc]
            prefix=f"{side}.",
        )
        shapes |= {f"{ADAPTERS}.{side}.{name}": shape for name, shape in found.items()}
    if not shapes:
        raise ModelError(
            f"{trial.model.name} has no linear layer that matches {params.lora_targets!r}; names "
            "begin with image. or text., as in --set 'lora_targets=image[.].*'"
        )
    return lora.init_adapters(shapes, params.lora_rank, trial.seed)


def build(trial: Trial, weights: Weights, device: str) -> DualEncoder:
    """Return the encoders with the trial's weights, which the copies share and do not change."""
    dual = _load(trial, device)
    return dataclasses.replace(
        dual,
        image=_with_weights(dual.image, "image", weights, trial.params),
        text=_with_weights(dual.text, "text", weights, trial.params),
    )


def _with_weights(encoder: Encoder, side: str, weights: Weights, params: Params) -> Encoder:
    tower = copy_with(encoder.tower, select(weights, f"{BACKBONE}.{side}."))
    if params.trainable == "lora":
        adapters = select(weights, f"{ADAPTERS}.{side}.")
        lora.attach(tower.backbone, adapters, lora_scale(params))
    if params.gradient_checkpointing and checkpoint_layers(tower) == 0:
        raise ModelError(
            f"the {side} encoder, {type(tower.backbone).__name__}, has no layers for gradient "
            "checkpointing; use --set chunk_size=8 instead"
        )
    return dataclasses.replace(encoder, tower=tower)


def group_by_scale(
    dual: DualEncoder, weights: Weights, layer_decay: float | None
) -> dict[float, list[str]]:
    """Group the names of weights by the factor of their learning rate."""
    scales = dict.fromkeys(weights, 1.0)
    for side, encoder in _sides(dual).items():
        if layer_decay is None:
            break
        names = [name for name, _ in encoder.tower.named_parameters()]
        found = layer_scales.layer_scales(names, layer_decay)
        scales |= {f"{BACKBONE}.{side}.{name}": scale for name, scale in found.items()}
    return layer_scales.group_by_scale(scales)


@dataclass(kw_only=True)
class NetworkSplit:
    """Embeds a split with encoders that the trial trains; see ``embedding.Embedder``."""

    dual: DualEncoder
    split: Split
    draw: tuple[int, int] | None
    captions: list[str]
    row: Array
    owner: Array

    @classmethod
    def open(
        cls, trial: Trial, split: str, draw: tuple[int, int] | None, weights: Weights, device: str
    ) -> NetworkSplit:
        """Return a split with the trial's weights; ``draw`` is that of the augmentation."""
        data = load_split(trial.data.name, split)
        captions, row, owner = stages.index_captions(data.captions, trial.params.num_captions)
        dual = build(trial, weights, device)
        return cls(dual=dual, split=data, draw=draw, captions=captions, row=row, owner=owner)

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

    def load(self, side: str, rows: Sequence[int]) -> Mapping[str, Tensor]:
        """Return images or distinct captions by index as inputs of their encoder."""
        if side == "image":
            return self.dual.image.prepare(stages.load_images(self.split, rows, self.draw))
        return self.dual.text.prepare([self.captions[row] for row in rows])

    def images(self, weights: Weights, rows: Tensor) -> Float[Tensor, "B P"]:
        """Return unit vectors of images by index, with the heads in ``weights``."""
        return project(weights, "image", self.dual.image.compute(self.load("image", rows.tolist())))

    def texts(self, weights: Weights, rows: Tensor) -> Float[Tensor, "B P"]:
        """Return unit vectors of distinct captions by index, with the heads in ``weights``."""
        return project(weights, "text", self.dual.text.compute(self.load("text", rows.tolist())))
