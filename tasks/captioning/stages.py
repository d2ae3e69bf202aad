"""The stages of captioning trials: encode the images once.

N images of a chunk, S image tokens, D the encoder's width, L layers that get image features
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.contract import Source, Stage, Trial
from tasks.datasets.registry import load_split
from tasks.interrupt import check_interrupt
from tasks.models.captioner_families import find_captioner_family, has_image_stage
from tasks.progress import report_progress

Array = np.ndarray[Any, Any]
BATCH = 64
CHUNK = 256  # images per stage; a multiple of the lab's batch size of 16


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
    """Encode the images ``first`` to ``last`` (exclusive) into ``states`` [N, S, D].

    If the images have different numbers of tokens, returns ``states`` [sum of S, L, D], the tokens
    of one image after the other, and ``counts`` [N], their numbers.
    """
    from tasks.captioning.models import load_model
    from tasks.models.image_text import ImageTextCaptioner

    captioner = load_model(model, device, precision)
    images = load_split(data.name, split)
    rows: list[Array] = []
    counts: list[int] = []
    for start in range(first, last, BATCH):
        check_interrupt()
        report_progress(start - first, last - first)
        batch = [images.load(i) for i in range(start, min(start + BATCH, last))]
        if isinstance(captioner, ImageTextCaptioner) and captioner.has_features:
            parts = captioner.encode_features(batch)
            counts += [len(part) for part in parts]
            rows += parts
        else:
            rows.append(captioner.encode(batch))
    more = {"counts": np.array(counts)} if counts else {}
    return {"states": np.concatenate(rows), **more}


def num_images(trial: Trial) -> int:
    """Return the number of images that the trial captions."""
    number = len(load_split(trial.data.name, trial.params.split))
    return min(number, trial.params.num_images or number)


def needed(trial: Trial) -> list[Stage]:
    """Return the stages that encode the trial's images in chunks.

    Trials of fewer images use the same chunks, and so share their values. Families without such a
    stage encode their images in ``generate``.
    """
    if not has_image_stage(find_captioner_family(trial.model)):
        return []
    number, whole = num_images(trial), len(load_split(trial.data.name, trial.params.split))
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
