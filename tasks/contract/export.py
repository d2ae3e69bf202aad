"""What a task's export tells the model card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """What ``task.export`` wrote, as far as the model card needs to know."""

    usage: str  # a Python program that runs in the exported folder
    library: str | None = None  # as the Hugging Face Hub names it: "transformers"
    pipeline: str | None = None  # the Hub's name of what the model does: "image-to-text"
    license: str | None = None  # an identifier such as "apache-2.0"; None: unknown
    data_license: str | None = None  # the same of the training data
    base_models: Sequence[str] = ()  # ids on the Hub of the models that it was made from
    notes: Sequence[str] = ()  # sentences on how the exported model differs from the trial
