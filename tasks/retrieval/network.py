"""The encoders of trials that train them: in full, or by adapters.

K stacked trials
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from tasks.arrays import select
from tasks.contract import ModelError, Trial, TrialError
from tasks.models import layer_scales, lora
from tasks.models.checkpointing import checkpoint_layers
from tasks.models.dual import load_dual_encoder
from tasks.models.encoders import DualEncoder, Encoder
from tasks.models.lora_params import lora_scale
from tasks.models.matching import attend
from tasks.models.sharing import copy_with
from tasks.models.texts import adapt_texts
from tasks.retrieval.params import Params

Weights = Mapping[str, Tensor]

ADAPTERS, BACKBONE, MATCHING = "lora", "backbone", "matching"  # how the names of weights start


def initial_weights(trial: Trial, device: str) -> dict[str, Tensor]:
    """Return the trained weights of both encoders at the start of a trial.

    They are ``backbone.<side>.<parameter of the tower>``, copies of the checkpoint's, or
    ``lora.<side>.<layer of the backbone>.A`` and ``.B``, new adapters. ``matching.<parameter>`` is
    the checkpoint's matching head, if the trial trains it.

    Raises:
        ModelError: if no layer matches ``lora_targets``.
    """
    dual = _load(trial, device)
    matching: dict[str, Tensor] = {}
    if trial.params.itm_weight:
        assert dual.matching is not None  # checked by ``normalize``
        matching = {
            f"{MATCHING}.{name}": value.clone()
            for name, value in dual.matching.state_dict().items()
        }
    if trial.params.trainable == "lora":
        adapters = {name: value.to(device) for name, value in _adapters(dual, trial).items()}
        return adapters | matching
    return matching | {
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
    shapes: dict[str, tuple[int, int]] = {}
    for side, encoder in _sides(dual).items():
        run = partial(encoder, _ITEMS[side][:1])
        if params.itm_weight and side == "text":
            run = partial(_embed_and_match, dual)
        found = lora.find_layers(
            encoder.tower.backbone, params.lora_targets, run, prefix=f"{side}."
        )
        shapes |= {f"{ADAPTERS}.{side}.{name}": shape for name, shape in found.items()}
    if not shapes:
        raise ModelError(
            f"{trial.model.name} has no linear layer that matches {params.lora_targets!r}; names "
            "begin with image. or text., as in --set 'lora_targets=image[.].*'"
        )
    return lora.init_adapters(shapes, params.lora_rank, trial.seed)


#: Two images and two captions, with which networks are tried.
_ITEMS: dict[str, list[Any]] = {
    "image": [Image.new("RGB", (64, 64), color) for color in ("black", "white")],
    "text": ["a", "b"],
}


def _embed_and_match(dual: DualEncoder) -> Tensor:
    """Return all that the text encoder computes of a caption, alone and of an image."""
    images, texts = _ITEMS["image"][:1], _ITEMS["text"][:1]
    with torch.no_grad():
        _, tokens = dual.image.compute_with_tokens(dual.image.prepare(images))
    return torch.cat([dual.text(texts), attend(dual, tokens, dual.text.prepare(texts))])


def build(trials: Sequence[Trial], weights: Weights, device: str) -> DualEncoder:
    """Return encoders with the weights of a trial, which the copies share and do not change.

    Several trials are those of a stack: their weights are adapters and heads [K, ...], and the
    items of a batch are those of the first trial, then those of the second, and so on.

    Raises:
        TrialError: if the encoders cannot have stacked adapters.
    """
    trial = trials[0]
    dual = _load(trial, device)
    scale: float | Tensor = 1.0
    if trial.params.trainable == "lora":
        scales = [lora_scale(each.params) for each in trials]
        scale = (
            scales[0] if len(trials) == 1 else torch.tensor(scales, device=device)[:, None, None]
        )
    if len(trials) > 1:
        _check_order(dual, weights)
    matching, own = dual.matching, select(weights, f"{MATCHING}.")
    if own and len(trials) == 1:
        assert matching is not None
        matching = copy_with(matching, own)
    return dataclasses.replace(
        dual,
        image=_with_weights(dual.image, "image", weights, trial.params, scale),
        text=_with_weights(dual.text, "text", weights, trial.params, scale),
        matching=matching,
    )


def _check_order(dual: DualEncoder, weights: Weights) -> None:
    for side, encoder in _sides(dual).items():
        items, tower = _ITEMS[side], encoder.tower
        layers = lora.layer_names(select(weights, f"{ADAPTERS}.{side}."))
        layers = [name for name in layers if "crossattention" not in name]  # not run here
        runs = tuple(
            partial(tower, **encoder.move(encoder.prepare(each)))
            for each in (items[:1], items[1:], items)
        )
        if not lora.keeps_order(tower.backbone, layers, runs):
            kind = type(tower.backbone).__name__
            raise TrialError(
                f"the {side} encoder, {kind}, mixes the items of a batch, so adapters of several "
                "trials cannot be stacked; each is trained alone"
            )


def _with_weights(
    encoder: Encoder, side: str, weights: Weights, params: Params, scale: float | Tensor
) -> Encoder:
    tower = copy_with(encoder.tower, select(weights, f"{BACKBONE}.{side}."))
    if params.trainable == "lora":
        lora.attach(tower.backbone, select(weights, f"{ADAPTERS}.{side}."), scale)
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
