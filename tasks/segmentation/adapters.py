"""LoRA adapters of the encoder of a segmentation network.

The network keeps them in ``lora``, by the names of their layers in the encoder with "/" for ".".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tasks.arrays import select
from tasks.contract import ModelError, Trial
from tasks.models import lora
from tasks.models.lora_export import FOLDER, describe, fitting_heads, save_adapters
from tasks.models.lora_params import lora_scale
from tasks.models.saving import hub_ids
from tasks.segmentation import network
from tasks.segmentation.network import Network
from tasks.segmentation.params import Params

PREFIX = "lora."


def add(model: Network, trial: Trial) -> None:
    """Freeze the encoder, and add new adapters, drawn by the seed.

    Raises:
        ModelError: if no layer matches ``lora_targets``.
    """
    params: Params = trial.params
    assert params.lora_rank is not None
    assert params.lora_targets is not None
    encoder, size = model.encoder, params.training_size
    encoder.requires_grad_(False)
    shapes = lora.find_layers(
        encoder, params.lora_targets, lambda: model.eval()(torch.zeros(1, 3, size, size))
    )
    if not shapes:
        raise ModelError(
            f"the encoder of {trial.model.name} has no linear layer that matches "
            f"{params.lora_targets!r}; change lora_targets, or use --set trainable=full"
        )
    made = lora.init_adapters(shapes, params.lora_rank, trial.seed)
    # A dot is not allowed in the name of a parameter.
    model.lora = nn.ParameterDict({name.replace(".", "/"): v for name, v in made.items()})
    own = {name.replace("/", "."): value for name, value in model.lora.items()}
    lora.attach(encoder, own, lora_scale(params))


def _adapters(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.replace("/", "."): value for name, value in select(weights, PREFIX).items()}


def merge(model: Network, trial: Trial, weights: Mapping[str, Tensor]) -> None:
    """Load trained weights into a network without adapters, into which they are merged."""
    rest = {name: value for name, value in weights.items() if not name.startswith(PREFIX)}
    unexpected = model.load_state_dict(rest, strict=False).unexpected_keys
    assert not unexpected, unexpected
    lora.merge(model.encoder, _adapters(weights), lora_scale(trial.params))


def save_of_encoder(
    folder: Path, weights: Mapping[str, Tensor], trial: Trial, submodule: str
) -> str:
    """Write the adapters of an encoder in the layout of peft; return a note on them.

    ``submodule`` is the encoder's name in the model; "" if it is the whole model.
    """
    save_adapters(
        folder / FOLDER,
        _adapters(weights),
        params=trial.params,
        heads={},
        base_model=None if submodule else _base_model(trial),
    )
    return describe(submodule)


def save_of_checkpoint(
    folder: Path, weights: Mapping[str, Tensor], trial: Trial, model: Any
) -> str:
    """Write the adapters of a checkpoint in the layout of peft; return a note on them.

    They come with the trained head, unless it has another number of classes than the base model's.
    """
    name = network.encoder_name(model)
    trained = {
        child: each.state_dict()
        for child, each in model.named_children()
        if child != name and each.state_dict()
    }
    heads = fitting_heads(network.load_segmenter(trial.model.name), trained)
    save_adapters(
        folder / FOLDER,
        {f"{name}.{layer}": value for layer, value in _adapters(weights).items()},
        params=trial.params,
        heads=heads,
        base_model=_base_model(trial),
    )
    return describe(missing=[child for child in trained if child not in heads])


def _base_model(trial: Trial) -> str | None:
    return next(iter(hub_ids(trial.model.name)), None)
