"""Export a diffusion model as weights, a config and one Python file that samples images."""

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
from tasks.datasets.conditions import Conditions
from tasks.diffusion import (
    data,
    dit,
    flow,
    loading,
    networks,
    pipeline,
    samplers,
    sampling,
    schedule,
    training,
    unet,
)
from tasks.diffusion.params import Params

WEIGHTS, CONFIG, PROGRAM = "model.safetensors", "config.json", "pipeline.py"
#: The modules that form the program, each after those that it uses.
PARTS = (schedule, samplers, flow, unet, dit, networks, sampling, pipeline)
_SHAPES = re.compile(r'\b(?:Float|Int)\[Tensor, "[^"]*"\]')  # the export does not use jaxtyping
_TYPE_COMMENT = re.compile(r"  # type: ignore\[[\w-]+\]")

USAGE = """from pipeline import load

pipe = load(".")
descriptions = DESCRIPTIONS
images = pipe(descriptions, seed=0, num_images=1)
images[0].resize((224, 224)).save("triangle.png")
"""


def export(
    trial: Trial, arrays: Mapping[str, Any], values: Mapping[str, Any], folder: Path
) -> Export:
    """Write the network's weights, ``config.json`` and ``pipeline.py`` into ``folder``."""
    params: Params = trial.params
    conditions = data.from_values(values)
    weights = {
        name.partition(".")[2]: torch.as_tensor(value).contiguous()
        for name, value in arrays.items()
    }
    safetensors.torch.save_file(weights, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(_config(trial, conditions), indent=2) + "\n")
    (folder / PROGRAM).write_text(program())
    return Export(
        usage=USAGE.replace("DESCRIPTIONS", json.dumps(_examples(conditions))),
        pipeline="text-to-image",
        data_license="mit" if trial.data.name == "concepts" else None,  # drawn by this project
        notes=_notes(params, conditions),
    )


def _examples(conditions: Conditions) -> list[str]:
    """Return the last unseen and the first seen condition, for the program of the card."""
    codes = (conditions.unseen[-1], conditions.seen[0])
    return [conditions.descriptions[code] for code in codes]


def _config(trial: Trial, conditions: Conditions) -> dict[str, Any]:
    network, options = loading.describe_network(trial, conditions.sizes)
    return {
        "network": network,
        "network_options": options,
        "sampling": dataclasses.asdict(training.sampling_config(trial.params)),
        "conditions": {
            conditions.descriptions[code]: [round(x, 6) for x in conditions.encoded[code]]
            for code in conditions.codes
        },
    }


def _notes(params: Params, conditions: Conditions) -> list[str]:
    kind = "the moving average of the weights" if params.ema else "the weights"
    notes = [
        f"`{WEIGHTS}` contains {kind} with which the sweep sampled. The network was trained from "
        "scratch.",
        "The noise depends on the seed and the description. "
        f"`pipe(..., num_images={params.num_samples}, seed=S)` returns the images that the sweep "
        "scored, if S is the trial's seed.",
    ]
    unseen = ", ".join(conditions.descriptions[code] for code in conditions.unseen)
    notes.append(f"Descriptions that the network never saw in training: {unseen}.")
    if params.precision != "float32":
        notes.append(
            f"In the sweep the network computed in {params.precision}. `pipeline.py` computes in "
            "float32, so images differ slightly."
        )
    return notes


def program() -> str:
    """Return the text of ``pipeline.py``: the sources of ``PARTS`` in one file."""
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
    return _TYPE_COMMENT.sub("", _SHAPES.sub("Tensor", text))


def _body(module: ModuleType, imports: dict[str, set[str]]) -> str:
    """Return a module's source below its imports, and add those of other packages to ``imports``.

    ``imports`` has the imported names by module, and whole statements ``import ...`` under ``""``.
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
