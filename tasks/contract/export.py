"""What a task exports of a finished trial, and the default export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """What ``task.export`` wrote, as far as the model card needs to know."""

    usage: str
    """A Python program that runs in the exported folder."""
    library: str | None = None
    """The library's name on the Hugging Face Hub, such as "transformers"."""
    pipeline: str | None = None
    """The Hub's name of what the model does, such as "image-to-text"."""
    license: str | None = None
    """An identifier such as "apache-2.0"; None if unknown."""
    data_license: str | None = None
    """The license of the training data; None if unknown."""
    base_models: Sequence[str] = ()
    """Ids on the Hub of the models that it was made from."""
    notes: Sequence[str] = ()
    """Sentences on how the exported model differs from the trial."""


_USAGE = """import json

from safetensors.numpy import load_file

weights = load_file("weights.safetensors")
trial = json.load(open("export.json"))
print(trial["params"], {name: array.shape for name, array in weights.items()})
"""


def export_arrays(arrays: Mapping[str, Any], folder: Path) -> Export:
    """Write the arrays as they are, as ``weights.safetensors``."""
    import numpy as np
    from safetensors.numpy import save_file

    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(contiguous, folder / "weights.safetensors")
    note = "The task does not say how to load it: these are its arrays and the trial's parameters."
    return Export(usage=_USAGE, notes=[note])
