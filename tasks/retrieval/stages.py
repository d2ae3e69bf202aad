"""The shared work of retrieval trials: what passes through the frozen backbone, and does so once.

N images, C captions, U distinct captions, S image tokens, D width
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tasks.contract import Source, Stage, Trial
from tasks.datasets.base import Split
from tasks.datasets.registry import load_split
from tasks.interrupt import check_interrupt
from tasks.progress import report_progress

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
BATCH = 64


def load_images(images: Split, rows: Sequence[int], draw: tuple[int, int] | None) -> list[Any]:
    """RGB images of a split; ``draw`` = (seed, epoch) augments them."""
    from tasks.retrieval.augment import augment

    check_interrupt()
    loaded = [images.load(row) for row in rows]
    if draw is None:
        return loaded
    return [augment(image, *draw, row) for row, image in zip(rows, loaded, strict=True)]


def index_captions(
    captions: Sequence[Sequence[str]], num_captions: int | None = None
) -> tuple[list[str], Array, Array]:
    """Distinct captions, ``row`` [C] into them, and ``owner`` [C], the image of each.

    Of each image the first ``num_captions`` captions, or all.
    """
    chosen = [each[:num_captions] for each in captions]
    flat = [caption for each in chosen for caption in each]
    distinct = sorted(set(flat), key=lambda caption: (len(caption), caption))  # little padding
    row = {caption: index for index, caption in enumerate(distinct)}
    owner = np.repeat(np.arange(len(chosen)), [len(each) for each in chosen])
    return distinct, np.array([row[caption] for caption in flat]), owner


def encode_images(
    *,
    model: Source,
    data: Source,
    split: str,
    precision: str,
    draw: tuple[int, int] | None,
    device: str,
) -> Arrays:
    """``features`` [N, D] (or [N, S, D]) of a split's images, augmented where there is a draw."""
    from tasks.models.dual import load_dual

    encode = load_dual(model.name, model.fingerprint, device, precision).image.encode
    images = load_split(data.name, split)
    rows = []
    for first in range(0, len(images), BATCH):
        report_progress(first, len(images))
        batch = range(first, min(first + BATCH, len(images)))
        rows.append(encode(load_images(images, batch, draw)))
    return {"features": np.concatenate(rows)}


def encode_texts(
    *,
    model: Source,
    data: Source,
    split: str,
    precision: str,
    num_captions: int | None,
    device: str,
) -> Arrays:
    """``features`` [U, D] of distinct captions, ``row`` [C] into them, ``owner`` [C] image."""
    from tasks.models.dual import load_dual
    from tasks.models.encoders import in_batches

    encode = load_dual(model.name, model.fingerprint, device, precision).text.encode
    distinct, row, owner = index_captions(load_split(data.name, split).captions, num_captions)
    return {"features": in_batches(encode, distinct, 4 * BATCH), "row": row, "owner": owner}


def read_heads(*, model: Source, device: str) -> Arrays:
    """The checkpoint's own heads, if any, and ``widths`` [2] of image and text features."""
    from tasks.models.dual import load_dual

    dual = load_dual(model.name, model.fingerprint, device, "float32")
    return {**dual.heads, "widths": np.array(dual.widths())}


def images_stage(trial: Trial, split: str, draw: tuple[int, int] | None = None) -> Stage:
    """The encoded images of a split, as this trial sees them."""
    common = _common(trial) | {"split": split, "draw": draw}
    # Raised with the augmentation: what is encoded without a draw is as it was.
    version = "1" if draw is None else "2"
    return Stage(function=encode_images, args=common, on_device=True, version=version)


def texts_stage(trial: Trial, split: str) -> Stage:
    """The encoded captions of a split."""
    args = _common(trial) | {"split": split, "num_captions": trial.params.num_captions}
    return Stage(function=encode_texts, args=args, on_device=True)


def heads_stage(trial: Trial) -> Stage:
    """The heads of this trial's checkpoint."""
    return Stage(function=read_heads, args={"model": trial.model}, on_device=True)


def training_draw(trial: Trial, epoch: int) -> tuple[int, int] | None:
    """The augmentation of an epoch (from 1): one copy of each image an epoch and seed, or none."""
    return (trial.seed, epoch) if trial.params.augment else None


def needed(trial: Trial) -> list[Stage]:
    """Everything the trial reads; a full model passes its images and captions by itself."""
    params = trial.params
    stages = [heads_stage(trial)]
    if params.trainable == "full":
        return stages
    stages += [images_stage(trial, params.split), texts_stage(trial, params.split)]
    if params.epochs:
        stages.append(texts_stage(trial, "train"))
        draws = (training_draw(trial, epoch) for epoch in range(1, params.epochs + 1))
        stages += [images_stage(trial, "train", draw) for draw in draws]
    return list(dict.fromkeys(stages))


def _common(trial: Trial) -> dict[str, Any]:
    return {"model": trial.model, "data": trial.data, "precision": trial.params.precision}
