"""The shared work of retrieval trials: what passes through the frozen backbone, and does so once.

N images, C captions, U distinct captions, D width
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.contract import Source, Stage, Trial
from tasks.datasets.registry import load_split

Arrays = Mapping[str, np.ndarray[Any, Any]]
BATCH = 64


def encode_images(
    *,
    model: Source,
    data: Source,
    split: str,
    precision: str,
    draw: tuple[int, int] | None,
    device: str,
) -> Arrays:
    """``features`` [N, D] of a split's images; ``draw`` = (seed, epoch) augments them."""
    from tasks.models.dual import load_dual
    from tasks.retrieval.augment import augment

    encoder = load_dual(model.name, model.fingerprint, device, precision)
    images = load_split(data.name, split)
    rows = []
    for first in range(0, len(images), BATCH):
        loaded = [(i, images.load(i)) for i in range(first, min(first + BATCH, len(images)))]
        if draw is not None:
            loaded = [(i, augment(image, *draw, i)) for i, image in loaded]
        rows.append(encoder.encode_images([image for _, image in loaded]))
    return {"features": np.concatenate(rows)}


def encode_texts(*, model: Source, data: Source, split: str, precision: str, device: str) -> Arrays:
    """``features`` [U, D] of distinct captions, ``row`` [C] into them, ``owner`` [C] image."""
    from tasks.models.dual import in_batches, load_dual

    encoder = load_dual(model.name, model.fingerprint, device, precision)
    captions = load_split(data.name, split).captions
    flat = [caption for told in captions for caption in told]
    distinct = sorted(set(flat), key=lambda caption: (len(caption), caption))  # little padding
    row = {caption: index for index, caption in enumerate(distinct)}
    return {
        "features": in_batches(encoder.encode_texts, distinct, 4 * BATCH),
        "row": np.array([row[caption] for caption in flat]),
        "owner": np.repeat(np.arange(len(captions)), [len(told) for told in captions]),
    }


def pretrained_heads(*, model: Source, device: str) -> Arrays:
    """The checkpoint's own heads."""
    from tasks.models.dual import load_dual

    return load_dual(model.name, model.fingerprint, device, "float32").heads()


def images_stage(trial: Trial, split: str, draw: tuple[int, int] | None = None) -> Stage:
    """The encoded images of a split, as this trial sees them."""
    common = _common(trial) | {"split": split, "draw": draw}
    return Stage(function=encode_images, args=common, on_device=True)


def texts_stage(trial: Trial, split: str) -> Stage:
    """The encoded captions of a split."""
    return Stage(function=encode_texts, args=_common(trial) | {"split": split}, on_device=True)


def heads_stage(trial: Trial) -> Stage:
    """The heads of this trial's checkpoint."""
    return Stage(function=pretrained_heads, args={"model": trial.model}, on_device=True)


def train_images_stage(trial: Trial, epoch: int) -> Stage:
    """The training images of an epoch (from 1): one augmented copy an epoch and seed, or one."""
    draw = (trial.seed, epoch) if trial.params.augment else None
    return images_stage(trial, "train", draw)


def needed(trial: Trial) -> list[Stage]:
    """Everything the trial reads."""
    split = trial.params.split
    stages = [images_stage(trial, split), texts_stage(trial, split), heads_stage(trial)]
    if trial.params.epochs:
        stages.append(texts_stage(trial, "train"))
        stages += [train_images_stage(trial, e) for e in range(1, trial.params.epochs + 1)]
    return list(dict.fromkeys(stages))


def _common(trial: Trial) -> dict[str, Any]:
    return {"model": trial.model, "data": trial.data, "precision": trial.params.precision}
