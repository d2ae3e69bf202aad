"""``load.py`` of an exported model: two encoders, joined by heads, with plain transformers.

It is written for the model at hand. What it computes is the source of this project's functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from PIL import Image
from torch import Tensor

from tasks.contract import ModelError
from tasks.models.families import is_factory, load_factory, split_pair
from tasks.models.pair import load_folder
from tasks.models.pooling import Pooling, Read
from tasks.models.saving import save_folder
from tasks.retrieval import usage

HEADS = "heads.safetensors"
SIDES = ("image", "text")


@dataclass(frozen=True, kw_only=True)
class Side:
    """How one encoder is loaded."""

    folder: str = ""  # in the export
    loads: str = ""  # the class of transformers
    half: str = ""  # the encoder's name in the model; "" for the whole
    pool: Read | None = None
    limit: int = 0  # tokens of a caption
    pads_to_the_end: bool = False
    factory: str = ""  # package.module:function, instead of a folder
    weights: str = ""  # a file with a factory's trained weights


def write_pair(folder: Path, name: str, weights: Mapping[str, Tensor]) -> str:
    """Write the encoders of ``IMAGE+TEXT``, their heads and ``load.py``; how to use them."""
    sides = {
        side: (_write_factory if is_factory(part) else _write_encoder)(folder, part, side, weights)
        for side, part in zip(SIDES, split_pair(name), strict=True)
    }
    return write(folder, sides, weights)


def _trained(weights: Mapping[str, Tensor], side: str) -> dict[str, Tensor]:
    prefix = f"backbone.{side}.backbone."
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def _write_encoder(folder: Path, name: str, side: str, weights: Mapping[str, Tensor]) -> Side:
    found = load_folder(name, side)
    found.model.float().eval()
    tower = found.tower()
    with torch.no_grad():
        parameters = dict(tower.backbone.named_parameters())
        for key, value in _trained(weights, side).items():
            parameters[key].copy_(value)
        pool = found.read
        if isinstance(pool, Pooling):  # chosen by what the encoder gives
            items = [Image.new("RGB", (64, 64))] if side == "image" else ["a"]
            pool = pool.choose(tower.backbone(**found.prepare()(items)))
    save_folder(folder / side, found.model, found.beside)
    return Side(
        folder=side,
        loads=type(found.model).__name__,
        half=found.half,
        pool=pool,
        limit=found.limit,
        pads_to_the_end=found.pads_to_the_end,
    )


def _write_factory(folder: Path, name: str, side: str, weights: Mapping[str, Tensor]) -> Side:
    """Nothing but trained weights: the code stays in the package that the user imports."""
    trained = {k.removeprefix("module."): v for k, v in _trained(weights, side).items()}
    if not trained:
        return Side(factory=name)
    module, _ = load_factory(name)()
    missing = sorted(trained.keys() - dict(module.named_parameters()).keys())
    if missing:
        raise ModelError(f"the module of {name} has no parameter {missing[0]}; restore its code")
    file = f"{side}.safetensors"
    safetensors.torch.save_file({k: v.contiguous() for k, v in trained.items()}, folder / file)
    return Side(factory=name, weights=file)


def write(folder: Path, sides: Mapping[str, Side], weights: Mapping[str, Tensor]) -> str:
    """Write the heads and ``load.py``; how to use them."""
    heads = {
        name: value.contiguous().clone()
        for name, value in weights.items()
        if name.startswith(("image.", "text.", "log_temperature"))
    }
    safetensors.torch.save_file(heads, folder / HEADS)
    (folder / "load.py").write_text(_program(sides, two_layers="image.out.weight" in heads))
    return usage.OF_LOADER


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
        '"""Two encoders joined by trained heads.\n\n'
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
        *map(_source, pools.values()),
        "def project(heads, side, features):\n"
        '    """Features through a side\'s head, as unit vectors."""\n'
        '    prefix = f"{side}."\n'
        "    head = {k.removeprefix(prefix): v for k, v in heads.items() if k.startswith(prefix)}\n"
        f"    {_LAYERS[two_layers]}\n"
        "    return F.normalize(features, dim=-1)\n",
        "def load():\n"
        '    """Functions from RGB images, and from captions, to unit vectors."""\n'
        f'    heads = load_file(HERE / "{HEADS}")\n'
        + "".join(_loading(name, side) for name, side in sides.items())
        + "".join(_encoding(name, side) for name, side in sides.items())
        + "\n    return image, text\n",
    ]
    return "\n\n".join(parts)


def _source(function: Any) -> str:
    """The source of a function, without remarks to our own type checker."""
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
    beside = "AutoImageProcessor" if name == "image" else "AutoTokenizer"
    variable = "processor" if name == "image" else "tokenizer"
    half = f".{side.half}" if side.half else ""
    return (
        f'    {name}_model = transformers.{side.loads}.from_pretrained(HERE / "{side.folder}")\n'
        f"    {name}_model = {name}_model.float().eval(){half}\n"
        f'    {variable} = transformers.{beside}.from_pretrained(HERE / "{side.folder}")\n'
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
            '        pixels = processor(images=pictures, return_tensors="pt")["pixel_values"]\n'
            '        inputs = {"pixel_values": pixels}\n'
        )
    else:
        padding = '"max_length"' if side.pads_to_the_end else "True"
        wanted = '("input_ids",)' if side.pads_to_the_end else '("input_ids", "attention_mask")'
        inputs = (
            "        tokens = tokenizer(\n"
            f"            captions, padding={padding}, truncation=True, max_length={side.limit},\n"
            '            return_tensors="pt",\n'
            "        )\n"
            f"        inputs = {{key: tokens[key] for key in {wanted}}}\n"
        )
    return (
        head
        + inputs
        + (
            f"        features = {side.pool.__name__}({name}_model(**inputs), inputs)\n"
            f'        return project(heads, "{name}", features)\n'
        )
    )
