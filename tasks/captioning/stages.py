"""The shared work of captioning trials: images pass through the encoder once.

N images of a chunk, S image tokens, D the encoder's width
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.contract import Source, Stage, Trial
from tasks.datasets.registry import load_split
from tasks.interrupt import check_interrupt
from tasks.progress import report_progress

Array = np.ndarray[Any, Any]
BATCH = 64
CHUNK = 256  # images a stage; a whole number of the lab's batches of 16


def encode_images(
    *,
    model: Source,
    data: Source,
    split: str,
    precision: str,
    first: int,
    last: int,
    device: str,
) -> Mapping[str, Array]:
    """``states`` [N, S, D] of the images from ``first`` to before ``last``."""
    from tasks.models.captioner import load_captioner

    captioner = load_captioner(model.name, model.fingerprint, device, precision)
    images = load_split(data.name, split)
    rows = []
    for start in range(first, last, BATCH):
        check_interrupt()
        report_progress(start - first, last - first)
        batch = [images.load(i) for i in range(start, min(start + BATCH, last))]
        rows.append(captioner.encode(batch))
    return {"states": np.concatenate(rows)}


def number_of_images(trial: Trial) -> int:
    """How many images the trial captions."""
    number = len(load_split(trial.data.name, trial.params.split))
    return min(number, trial.params.num_images or number)


def needed(trial: Trial) -> list[Stage]:
    """The encoded images, in chunks; trials of fewer images share the whole chunks."""
    number, whole = number_of_images(trial), len(load_split(trial.data.name, trial.params.split))
    return [
        Stage(
            function=encode_images,
            args={
                "model": trial.model,
                "data": trial.data,
                "split": trial.params.split,
                "precision": trial.params.precision,
                "first": first,
                "last": min(first + CHUNK, whole),
            },
            on_device=True,
        )
        for first in range(0, number, CHUNK)
    ]
