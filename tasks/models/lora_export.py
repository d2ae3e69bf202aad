"""Write LoRA adapters in the layout of peft, so that ``PeftModel.from_pretrained`` loads them.

I inputs and O outputs of a layer, R rank
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from tasks.models.lora import Adapters, layer_names

FOLDER = "adapter"
Heads = Mapping[str, Mapping[str, Tensor]]  # parameters by the name of their module
_ROOT = "base_model.model."  # before each name in peft's files
_PARTS = {"A": "lora_A", "B": "lora_B"}  # lora_A.weight is [R, I], lora_B.weight [O, R]


def describe(module: str = "", missing: Iterable[str] = (), place: str = "this model") -> str:
    """Return the note on adapters for a model card.

    Args:
        module: the name of the adapted module in the base model; "" if it is the whole model.
        missing: heads that ``fitting_heads`` left out.
        place: where the trained heads are instead.
    """
    wrapped = f"base_model.{module}" if module else "base_model"
    text = (
        "The weights contain the LoRA adapters. The folder `adapter` (of each encoder, if there "
        f"are two) also holds them in the layout of peft: `PeftModel.from_pretrained({wrapped}, "
        "folder)`."
    )
    names = " and ".join(f"`{name}`" for name in missing)
    if not names:
        return text
    return (
        f"{text} It is without the trained {names}, because the base model's have other shapes: "
        f"use those of {place}."
    )


def fitting_heads(base: nn.Module, heads: Heads) -> dict[str, Mapping[str, Tensor]]:
    """Return the heads with the shapes of the base model's, into which peft can load them."""

    def shapes(values: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
        return {name: tuple(value.shape) for name, value in values.items()}

    return {
        module: values
        for module, values in heads.items()
        if shapes(values) == shapes(base.get_submodule(module).state_dict())
    }


def save_adapters(
    folder: Path,
    adapters: Adapters,
    *,
    params: Any,
    heads: Heads,
    base_model: str | None,
) -> None:
    """Write ``adapter_config.json`` and ``adapter_model.safetensors`` into a new folder.

    Args:
        folder: the folder.
        adapters: A and B of each layer, by the layer's name in the base model.
        params: the parameters of the trial, with ``lora_rank`` and ``lora_alpha``.
        heads: the parameters of modules that were trained in full, by the module's name.
        base_model: the Hugging Face id of the base model; None if it has none, or if the adapters
            are those of a module of it.
    """
    folder.mkdir()
    weights = {
        f"{_ROOT}{layer}.{name}.weight": adapters[f"{layer}.{part}"]
        for layer in layer_names(adapters)
        for part, name in _PARTS.items()
    }
    weights |= {
        f"{_ROOT}{module}.{name}": value
        for module, values in heads.items()
        for name, value in values.items()
    }
    contiguous = {name: value.float().contiguous() for name, value in weights.items()}
    save_file(contiguous, folder / "adapter_model.safetensors", {"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": base_model,
        "r": params.lora_rank,
        "lora_alpha": params.lora_alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
        "target_modules": layer_names(adapters),
        "modules_to_save": sorted(heads) or None,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
