"""Write the temperature and the bias of the training loss into an exported model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tasks.contract import Trial
from tasks.retrieval.params import Params


def write_logit_scale(model: Any, trial: Trial, weights: Mapping[str, Tensor]) -> list[str]:
    """Write the temperature and bias of the training loss into the model; return notes on them."""
    params: Params = trial.params
    if not params.epochs:
        return []
    log, bias = weights.get("log_temperature"), weights.get("logit_bias", params.bias)
    temperature = params.temperature if log is None else math.exp(float(log))
    assert temperature is not None  # set by ``normalize``
    if not hasattr(model, "logit_scale"):
        model.config.temp = temperature  # as in BLIP's own configuration; read for temperature=none
        notes = [
            f"The training loss divided similarities by a temperature of {temperature:.4g} (`temp` "
            "in `config.json`), for which this architecture has no parameter: divide similarities "
            f"by it before a {'softmax' if bias is None else 'sigmoid'}."
        ]
    else:
        with torch.no_grad():
            model.logit_scale.fill_(-math.log(temperature))
        notes = [f"`logit_scale` is the temperature of the training loss, {temperature:.4g}."]
    return notes + _write_bias(model, None if bias is None else float(bias))


def _write_bias(model: Any, bias: float | None) -> list[str]:
    if hasattr(model, "logit_bias"):
        if bias is None:
            return [
                "It was trained with a softmax over the batch, not with SigLIP's sigmoid: "
                "`logit_bias` is that of the base model, and sigmoids of the logits are not "
                "calibrated."
            ]
        with torch.no_grad():
            model.logit_bias.fill_(bias)
        return [f"`logit_bias` is the bias of the training loss, {bias:.4g}."]
    if bias is None:
        return []
    return [
        f"It was trained with a sigmoid for each pair and a bias of {bias:.4g}, for which this "
        "architecture has no parameter: add it to the logits before a sigmoid."
    ]
