"""The description of an exported model, and the default export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """The facts about an exported model that its model card needs."""

    usage: str
    """A Python program that uses the model and runs in the exported folder."""
    library: str | None = None
    """The library's name on the Hugging Face Hub, such as "transformers"."""
    pipeline: str | None = None
    """The Hub's name of the model's task, such as "image-to-text"."""
    license: str | None = None
    """A license identifier such as "apache-2.0"; None if unknown."""
    data_license: str | None = None
    """The license of the training data; None if unknown."""
    base_models: Sequence[str] = ()
    """The Hub ids of the models that it was finetuned from."""
    notes: Sequence[str] = ()
    """Sentences about the differences between the exported model and the trial."""


_USAGE = """import json

from safetensors.numpy import load_file

weights = load_file("weights.safetensors")
trial = json.load(open("export.json"))
print(trial["params"], {name: array.shape for name, array in weights.items()})
"""


def export_arrays(arrays: Mapping[str, Any], folder: Path) -> Export:
    """Write the arrays unchanged as ``weights.safetensors``."""
    import numpy as np
    from safetensors.numpy import save_file

    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(contiguous, folder / "weights.safetensors")
    note = (
        "The task does not define its own export: this folder holds the trained arrays and the "
        "trial's parameters."
    )
    return Export(usage=_USAGE, notes=[note])
