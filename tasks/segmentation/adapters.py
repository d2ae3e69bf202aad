"""LoRA adapters of the encoder of a segmentation network.

The network keeps them in ``lora``, by the names of their layers in the encoder with "/" for ".".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tasks.contract import ModelError, Trial
from tasks.models import lora
from tasks.models.lora_export import FOLDER, save_adapters
from tasks.models.lora_params import lora_scale
from tasks.models.saving import hub_ids
from tasks.segmentation.params import Params

if TYPE_CHECKING:
    from tasks.segmentation.network import Checkpoint, Segmenter

PREFIX = "lora."


def add(model: Segmenter | Checkpoint, trial: Trial) -> None:
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


def _select(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(PREFIX).replace("/", "."): value
        for name, value in weights.items()
        if name.startswith(PREFIX)
    }


def merge(model: Segmenter | Checkpoint, trial: Trial, weights: Mapping[str, Tensor]) -> None:
    """Load trained weights into a network without adapters, into which they are merged."""
    rest = {name: value for name, value in weights.items() if not name.startswith(PREFIX)}
    unexpected = model.load_state_dict(rest, strict=False).unexpected_keys
    assert not unexpected, unexpected
    lora.merge(model.encoder, _select(weights), lora_scale(trial.params))


def save(
    folder: Path, weights: Mapping[str, Tensor], trial: Trial, model: Checkpoint | None = None
) -> None:
    """Write the adapters in the layout of peft, for the encoder or for a whole checkpoint.

    Those of a checkpoint come with its head, which has the classes of the trial's data.
    """
    prefix, heads = "", {}
    if model is not None:
        (name,) = (name for name, each in model.model.named_modules() if each is model.encoder)
        prefix = f"{name}."
        heads = {
            child: each.state_dict()
            for child, each in model.model.named_children()
            if child != name and each.state_dict()
        }
    adapters = {f"{prefix}{layer}": value for layer, value in _select(weights).items()}
    save_adapters(
        folder / FOLDER,
        adapters,
        params=trial.params,
        heads=heads,
        base_model=next(iter(hub_ids(trial.model.name)), None),
    )
