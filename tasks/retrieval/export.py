"""Export a retrieval model as a Hugging Face folder, or as encoders and separate heads.

P the width of the shared space
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from tasks.arrays import select
from tasks.contract import Export, Trial
from tasks.models import lora, lora_export
from tasks.models.encoders import READERS
from tasks.models.families import FAMILIES, Family, find_family, is_pair
from tasks.models.loading import load_checked, load_preprocessor, silence_transformers
from tasks.models.lora_params import lora_scale
from tasks.models.saving import find_license, hub_ids, save_folder
from tasks.models.texts import TextPreparation, text_length
from tasks.retrieval import loader, usage
from tasks.retrieval.export_scale import write_logit_scale
from tasks.retrieval.network import MATCHING
from tasks.retrieval.params import Params

Weights = Mapping[str, Tensor]


def export(trial: Trial, arrays: Mapping[str, Any], folder: Path) -> Export:
    """Write the model with its trained weights into ``folder``.

    If the architecture cannot hold the trial's heads (two layers, a bias in CLIP, or a pair of
    encoders), write encoder folders, ``heads.safetensors`` and ``load.py`` instead.
    """
    silence_transformers()
    weights = {
        name: torch.as_tensor(value).float() for name, value in select(arrays, "weight.").items()
    }
    if is_pair(trial.model.name):
        program = loader.write_pair(folder, trial, weights)
        notes = [lora_export.describe()] if trial.params.trainable == "lora" else []
        return _describe(trial, program, "feature-extraction", notes)
    family = find_family(trial.model.name)
    model, tokenizer, processor = _load(trial.model.name, family)
    _write_backbone(model, family, weights)
    notes = _write_adapters(folder, model, family, trial, weights)
    notes += _write_matching_head(model, family, trial, weights)
    texts = TextPreparation(
        tokenizer=tokenizer,
        max_length=text_length(model.config.text_config, tokenizer),
        pads_to_max_length=family.pads_to_max_length,
    ).with_options(trial.params.max_tokens, trial.params.lower_case)
    if _can_hold(model, family, weights):
        _write_heads(model, family, weights)
        notes = write_logit_scale(model, trial, weights) + notes
        save_folder(folder, model, tokenizer, processor)
        program = usage.family_usage(family, texts, trial.params)
        return _describe(trial, program, "zero-shot-image-classification", notes)
    save_folder(folder / "model", model, tokenizer, processor)
    sides = {
        "image": loader.Side(
            folder="model",
            model_class=family.model_class,
            submodule=family.image_encoder,
            pool=READERS[family.image_features],
        ),
        "text": loader.Side(
            folder="model",
            model_class=family.model_class,
            submodule=family.text_encoder,
            pool=READERS[family.text_features],
            texts=texts,
        ),
    }
    program = loader.write(folder, sides, weights)
    return _describe(trial, program, "feature-extraction", notes)


def _load(name: str, family: Family) -> tuple[Any, Any, Any]:
    """Load the whole model, its tokenizer and its image processor."""
    encoders = (f"{family.image_encoder}.", f"{family.text_encoder}.")
    model = load_checked(
        name,
        getattr(transformers, family.model_class),
        lambda key: key.startswith(encoders) and "pooler" not in key,
    ).float()
    tokenizer = load_preprocessor(name, "tokenizer", transformers.AutoTokenizer)
    processor = load_preprocessor(name, "image processor", transformers.AutoImageProcessor)
    return model, tokenizer, processor


def _write_backbone(model: nn.Module, family: Family, weights: Weights) -> None:
    """Copy the encoders' weights into the model, if the trial trained them in full."""
    for side, encoder in (("image", family.image_encoder), ("text", family.text_encoder)):
        parameters = dict(model.get_submodule(encoder).named_parameters())
        _copy(parameters, select(weights, f"backbone.{side}.backbone."))


def _write_adapters(
    folder: Path, model: nn.Module, family: Family, trial: Trial, weights: Weights
) -> list[str]:
    """Write adapters, if any, and merge them into the model; return notes on them."""
    params: Params = trial.params
    if params.trainable != "lora":
        return []
    adapters: dict[str, Tensor] = {}
    for side, encoder in (("image", family.image_encoder), ("text", family.text_encoder)):
        own = select(weights, f"lora.{side}.")
        lora.merge(model.get_submodule(encoder), own, lora_scale(params))
        adapters |= {f"{encoder}.{name}": value for name, value in own.items()}
    trained = {
        name: select(weights, f"{side}.")
        for side, name in (("image", family.image_head), ("text", family.text_head))
    }
    if params.itm_weight:
        trained[family.matching_head] = select(weights, f"{MATCHING}.")
    heads = lora_export.fitting_heads(model, trained)
    lora_export.save_adapters(
        folder / lora_export.FOLDER,
        adapters,
        params=params,
        heads=heads,
        base_model=next(iter(hub_ids(trial.model.name)), None),
    )
    missing = [name for name in trained if name not in heads]
    place = "this model" if _can_hold(model, family, weights) else f"`{loader.HEADS}`"
    return [lora_export.describe(missing=missing, place=place)]


def _write_matching_head(
    model: nn.Module, family: Family, trial: Trial, weights: Weights
) -> list[str]:
    """Copy the matching head if it was trained; remove it if only its encoders were.

    Returns notes on it.
    """
    params: Params = trial.params
    if not family.matching_head or params.trainable == "head":
        return []
    if params.itm_weight:
        parameters = dict(model.get_submodule(family.matching_head).named_parameters())
        _copy(parameters, select(weights, f"{MATCHING}."))
        return [
            f"The matching head (`{family.matching_head}`) was trained with the encoders, with a "
            f"weight of {params.itm_weight:g}. Use it with `use_itm_head=True`."
        ]
    setattr(model, family.matching_head, nn.Identity())
    return [
        f"The matching head of the base model (`{family.matching_head}`) does not fit the trained "
        "encoders and is left out. transformers fills it with random weights, so use "
        "`use_itm_head=False`."
    ]


def _copy(parameters: Mapping[str, Tensor], values: Weights) -> None:
    with torch.no_grad():
        for name, value in values.items():
            parameters[name].copy_(value)


def _can_hold(model: nn.Module, family: Family, weights: Weights) -> bool:
    """Return whether the architecture's heads have the same form as the trial's, of any width."""
    for side, name in (("image", family.image_head), ("text", family.text_head)):
        own, trained = model.get_submodule(name).state_dict(), select(weights, f"{side}.")
        if own.keys() != trained.keys():
            return False
    return True


def _write_heads(model: Any, family: Family, weights: Weights) -> None:
    """Copy the heads into the model, whose width P becomes that of the trial's heads."""
    for side, name in (("image", family.image_head), ("text", family.text_head)):
        trained, head = select(weights, f"{side}."), model.get_submodule(name)
        width = len(trained["weight"]) if "weight" in trained else 0
        if isinstance(head, nn.Linear) and head.out_features != width:
            head = nn.Linear(head.in_features, width, bias=head.bias is not None)
            assert family is FAMILIES["blip"]  # new heads have a bias, unlike CLIP's
            setattr(model, name, head)
            model.config.image_text_hidden_size = width
        _copy(dict(head.named_parameters()), trained)


def _describe(trial: Trial, program: str, pipeline: str, notes: list[str]) -> Export:
    params: Params = trial.params
    if params.precision != "float32":
        notes = [
            *notes,
            f"In the sweep the encoders computed in {params.precision}. The exported weights are "
            "float32, so results may differ slightly.",
        ]
    if params.rerank_k:
        notes = [
            *notes,
            f"Recalls are after re-ranking {params.rerank_k} candidates by the matching head. The "
            "program below ranks by the projections alone.",
        ]
    return Export(
        usage=program,
        library="transformers",
        pipeline=pipeline,
        license=find_license(trial.model.name),
        data_license="mit" if trial.data.name == "scenes" else None,  # drawn by this project
        base_models=hub_ids(trial.model.name),
        notes=notes,
    )
