"""A trained diffusion model as weights, settings and one Python file that draws with them."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import safetensors.torch
import torch

from tasks.contract import Export, Trial
from tasks.datasets import concepts
from tasks.diffusion import pipeline, samplers, sampling, schedule, training, unet
from tasks.diffusion.params import Params

WEIGHTS, CONFIG, PROGRAM = "model.safetensors", "config.json", "pipeline.py"
#: What the program consists of, in an order in which each part finds what it uses.
PARTS = (schedule, samplers, unet, sampling, pipeline)
_SHAPED = re.compile(r'\b(?:Float|Int)\[Tensor, "[^"]*"\]')  # jaxtyping, which an export lacks
_REMARK = re.compile(r"  # type: ignore\[[\w-]+\]")

USAGE = """from pipeline import load

pipe = load(".")
descriptions = ["small blue triangle", "large red circle"]
images = pipe(descriptions, seed=0, num_images=1)
images[0].resize((224, 224)).save("triangle.png")
"""


def export(trial: Trial, arrays: Mapping[str, Any], folder: Path) -> Export:
    """Write the network's weights, ``config.json`` and ``pipeline.py`` into the folder."""
    params: Params = trial.params
    weights = {
        name.partition(".")[2]: torch.as_tensor(value).float().contiguous()
        for name, value in arrays.items()
    }
    safetensors.torch.save_file(weights, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(_config(params), indent=2) + "\n")
    (folder / PROGRAM).write_text(program())
    return Export(
        usage=USAGE,
        pipeline="text-to-image",
        data_license="mit" if trial.data.name == "concepts" else None,  # drawn by this project
        notes=_notes(params),
    )


def _config(params: Params) -> dict[str, Any]:
    return {
        "network": {"features": params.features, "attention": params.attention},
        "sampling": dataclasses.asdict(training.sampling_of(params)),
        "conditions": {
            concepts.describe(name): [
                round(x, 6) for x in training.nominal_condition(name)[0].tolist()
            ]
            for name in concepts.CONDITIONS
        },
    }


def _notes(params: Params) -> list[str]:
    averaged = "the moving average of the weights, which" if params.ema else "the network, which"
    notes = [
        f"`{WEIGHTS}` is {averaged} the sweep sampled from. The network was trained from scratch.",
        f"The seed and the description decide the noise. `pipe(..., num_images={params.num_samples}"
        ", seed=S)` draws the images that the sweep scored for the trial's own seed S.",
    ]
    unseen = ", ".join(concepts.describe(name) for name in concepts.UNSEEN)
    notes.append(f"Descriptions that it never saw in training: {unseen}.")
    if params.precision != "float32":
        notes.append(
            f"In the sweep the network computed in {params.precision}. `pipeline.py` computes in "
            "float32, so that images differ a little."
        )
    return notes


def program() -> str:
    """``pipeline.py``: this project's own sources in one file."""
    imports: dict[str, set[str]] = {}
    bodies = []
    for part in PARTS:
        bodies.append(
            f"# --- {part.__name__.rpartition('.')[2]} {'-' * 60}\n\n{_body(part, imports)}"
        )
    lines = sorted(imports.pop("", set()))
    lines += [f"from {name} import {', '.join(sorted(imports[name]))}" for name in sorted(imports)]
    head = (
        '"""A conditional diffusion model for small images: network, noise levels and samplers.\n\n'
        '    pipe = load(".")\n'
        '    images = pipe(["small blue triangle"], seed=0)\n'
        '"""\n\nfrom __future__ import annotations\n\n'
    )
    text = head + "\n".join(lines) + "\n\n" + "\n\n\n".join(bodies) + "\n"
    return _REMARK.sub("", _SHAPED.sub("Tensor", text))


def _body(module: ModuleType, imports: dict[str, set[str]]) -> str:
    """A module's source below its imports; those from other packages are added to ``imports``.

    Names by the module that they are from; whole statements ``import ...`` under ``""``.
    """
    source = inspect.getsource(module)
    last = 0
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            imports.setdefault("", set()).add(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom):
            name = node.module or ""
            if name.split(".")[0] not in ("tasks", "jaxtyping", "__future__"):
                imports.setdefault(name, set()).update(alias.name for alias in node.names)
        else:
            continue
        last = max(last, node.end_lineno or 0)
    return "\n".join(source.splitlines()[last:]).strip()
