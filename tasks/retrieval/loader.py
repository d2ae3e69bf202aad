"""Write ``load.py`` of an exported model, which loads two encoders and their heads.

The program needs only transformers and is specific to the model. It contains the source of this
project's pooling functions.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from PIL import Image
from torch import Tensor, nn

from tasks.contract import ModelError, Trial
from tasks.models import lora
from tasks.models.encoders import IMAGE_INPUTS
from tasks.models.factories import is_factory, load_factory
from tasks.models.families import split_pair
from tasks.models.lora_export import FOLDER, save_adapters
from tasks.models.lora_params import lora_scale
from tasks.models.pair import load_folder
from tasks.models.pooling import Pooling, Read
from tasks.models.saving import hub_ids, save_folder
from tasks.models.texts import TextPreparation
from tasks.retrieval import usage
from tasks.retrieval.params import Params

HEADS = "heads.safetensors"
SIDES = ("image", "text")


@dataclass(frozen=True, kw_only=True)
class Side:
    """How to load one encoder."""

    folder: str = ""  # in the export
    model_class: str = ""  # in transformers
    submodule: str = ""  # the encoder's name in the model; "" if it is the whole model
    pool: Read | None = None
    texts: TextPreparation | None = None  # of the text encoder
    factory: str = ""  # package.module:function, instead of a folder
    weights: str = ""  # the file with the trained weights of a factory's module


def write_pair(folder: Path, trial: Trial, weights: Mapping[str, Tensor]) -> str:
    """Write the encoders of ``IMAGE+TEXT``, their heads and ``load.py``; return their usage."""
    sides = {
        side: (_write_factory if is_factory(part) else _write_encoder)(
            folder, part, side, weights, trial.params
        )
        for side, part in zip(SIDES, split_pair(trial.model.name), strict=True)
    }
    return write(folder, sides, weights)


def _trained(weights: Mapping[str, Tensor], side: str) -> dict[str, Tensor]:
    prefix = f"backbone.{side}.backbone."
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def _write_encoder(
    folder: Path, name: str, side: str, weights: Mapping[str, Tensor], params: Params
) -> Side:
    found = load_folder(name, side)
    found.model.float().eval()
    tower = found.tower()
    with torch.no_grad():
        parameters = dict(tower.backbone.named_parameters())
        for key, value in _trained(weights, side).items():
            parameters[key].copy_(value)
        pool = found.read
        if isinstance(pool, Pooling):  # it depends on the encoder's output
            items = [Image.new("RGB", (64, 64))] if side == "image" else ["a"]
            pool = pool.choose(tower.backbone(**found.prepare()(items)))
    adapters = _adapters(weights, side)
    if adapters:
        lora.merge(tower.backbone, adapters, lora_scale(params))
    save_folder(folder / side, found.model, found.preprocessor)
    if adapters:
        prefix = f"{found.submodule}." if found.submodule else ""
        save_adapters(
            folder / side / FOLDER,
            {f"{prefix}{key}": value for key, value in adapters.items()},
            params=params,
            heads={},
            base_model=next(iter(hub_ids(name)), None),
        )
    return Side(
        folder=side,
        model_class=type(found.model).__name__,
        submodule=found.submodule,
        pool=pool,
        texts=found.texts and found.texts.with_options(params.max_tokens, params.lower_case),
    )


def _adapters(weights: Mapping[str, Tensor], side: str) -> dict[str, Tensor]:
    prefix = f"lora.{side}."
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def _write_factory(
    folder: Path, name: str, side: str, weights: Mapping[str, Tensor], params: Params
) -> Side:
    """Write only trained weights; ``load.py`` imports the factory from its package."""
    trained, adapters = _trained(weights, side), _adapters(weights, side)
    if not trained and not adapters:
        return Side(factory=name)
    made, _ = load_factory(name)()
    module = nn.ModuleDict({"module": made.float()})  # names start with module., as in the trial
    parameters = dict(module.named_parameters())
    merged = {f"{layer}.weight" for layer in lora.layer_names(adapters)}
    missing = sorted((trained.keys() | merged) - parameters.keys())
    if missing:
        first = missing[0].removeprefix("module.")
        raise ModelError(f"the module of {name} has no parameter {first}; restore its code")
    lora.merge(module, adapters, lora_scale(params) if adapters else 1.0)
    trained |= {key: parameters[key].detach() for key in merged}
    file = f"{side}.safetensors"
    contiguous = {k.removeprefix("module."): v.contiguous() for k, v in trained.items()}
    safetensors.torch.save_file(contiguous, folder / file)
    return Side(factory=name, weights=file)


def write(folder: Path, sides: Mapping[str, Side], weights: Mapping[str, Tensor]) -> str:
    """Write the heads and ``load.py``; return their usage."""
    heads = {
        name: value.contiguous().clone()
        for name, value in weights.items()
        if name.startswith(("image.", "text.", "log_temperature", "logit_bias"))
    }
    safetensors.torch.save_file(heads, folder / HEADS)
    (folder / "load.py").write_text(_program(sides, two_layers="image.out.weight" in heads))
    return usage.LOADER_USAGE


# --- the program ----------------------------------------------------------------------------------

_LAYERS = {
    False: 'features = F.linear(features, head["weight"], head["bias"])',
    True: (
        'features = F.gelu(F.linear(features, head["hidden.weight"], head["hidden.bias"]))\n'
        '    features = F.linear(features, head["out.weight"], head["out.bias"])'
    ),
}


def _program(sides: Mapping[str, Side], *, two_layers: bool) -> str:
    pools = {side.pool.__name__: side.pool for side in sides.values() if side.pool is not None}
    parts = [
        '"""Two encoders with trained heads.\n\n'
        "    image, text = load()\n"
        "    image([picture]) @ text([caption]).T  # cosine similarities\n"
        '"""\n\n'
        "from __future__ import annotations\n\n"
        "from collections.abc import Mapping\n"
        "from pathlib import Path\n"
        "from typing import Any\n\n"
        "import torch\nimport torch.nn.functional as F\nimport transformers\n"
        "from safetensors.torch import load_file\nfrom torch import Tensor\n\n"
        "HERE = Path(__file__).parent\n",
        *map(_clean_source, pools.values()),
        "def project(heads, side, features):\n"
        '    """Project features with the head of a side (image or text) to unit vectors."""\n'
        '    prefix = f"{side}."\n'
        "    head = {k.removeprefix(prefix): v for k, v in heads.items() if k.startswith(prefix)}\n"
        f"    {_LAYERS[two_layers]}\n"
        "    return F.normalize(features, dim=-1)\n",
        "def load():\n"
        '    """Return two functions that embed RGB images and captions as unit vectors."""\n'
        f'    heads = load_file(HERE / "{HEADS}")\n'
        + "".join(_loading(name, side) for name, side in sides.items())
        + "".join(_encoding(name, side) for name, side in sides.items())
        + "\n    return image, text\n",
    ]
    return "\n\n".join(parts)


def _clean_source(function: Any) -> str:
    """Return the source of a function without comments for the type checker."""
    return inspect.getsource(function).replace("  # type: ignore[no-any-return]", "")


def _loading(name: str, side: Side) -> str:
    if side.factory:
        module, _, function = side.factory.partition(":")
        file, more = f'HERE / "{side.weights}"', ""
        if side.weights:
            more = f"    {name}_model.load_state_dict(load_file({file}), strict=False)\n"
        return (
            f"    from {module} import {function} as {name}_factory\n\n"
            f"    {name}_model, prepare_{name} = {name}_factory()\n"
            f"    {name}_model.eval()\n{more}"
        )
    loader = "AutoImageProcessor" if name == "image" else "AutoTokenizer"
    variable = "processor" if name == "image" else "tokenizer"
    submodule = f".{side.submodule}" if side.submodule else ""
    folder = f'HERE / "{side.folder}"'
    return (
        f"    {name}_model = transformers.{side.model_class}.from_pretrained({folder})\n"
        f"    {name}_model = {name}_model.float().eval(){submodule}\n"
        f"    {variable} = transformers.{loader}.from_pretrained({folder})\n"
    )


def _encoding(name: str, side: Side) -> str:
    items = "pictures" if name == "image" else "captions"
    head = f"\n    @torch.inference_mode()\n    def {name}({items}):\n"
    if side.factory:
        return head + (
            f"        inputs = prepare_{name}({items})\n"
            "        by_name = not isinstance(inputs, Tensor)\n"
            f"        features = {name}_model(**inputs) if by_name else {name}_model(inputs)\n"
            f'        return project(heads, "{name}", features.float())\n'
        )
    assert side.pool is not None
    if name == "image":
        inputs = (
            '        found = processor(images=pictures, return_tensors="pt")\n'
            f"        inputs = {{key: found[key] for key in {IMAGE_INPUTS} if key in found}}\n"
        )
    else:
        assert side.texts is not None
        padded = side.texts.pads_to_max_length
        names = '("input_ids",)' if padded else '("input_ids", "attention_mask")'
        inputs = textwrap.indent(
            f"{usage.tokenize(side.texts)}inputs = {{key: tokens[key] for key in {names}}}\n",
            " " * 8,
        )
    return (
        head
        + inputs
        + (
            f"        features = {side.pool.__name__}({name}_model(**inputs), inputs)\n"
            f'        return project(heads, "{name}", features)\n'
        )
    )
