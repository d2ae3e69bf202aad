"""The stages of retrieval trials: encode images and captions with the frozen backbone once.

N images, C captions, U distinct captions, S image tokens, D width
"""

from __future__ import annotations

import json
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
    """Load RGB images of a split; augment them if ``draw``, (seed, epoch), is not None."""
    from tasks.retrieval.augment import augment

    check_interrupt()
    loaded = [images.load(row) for row in rows]
    if draw is None:
        return loaded
    return [augment(image, *draw, row) for row, image in zip(rows, loaded, strict=True)]


def index_captions(
    captions: Sequence[Sequence[str]], num_captions: int | None = None
) -> tuple[list[str], Array, Array]:
    """Index the first ``num_captions`` captions of each image, or all.

    Returns:
        The distinct captions, ``row`` [C], the index of each caption in them, and ``owner`` [C],
        the image of each caption.
    """
    chosen = [each[:num_captions] for each in captions]
    flat = [caption for each in chosen for caption in each]
    # Sorted by length, so that batches need little padding.
    distinct = sorted(set(flat), key=lambda caption: (len(caption), caption))
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
    """Encode a split's images, augmented if ``draw``, into ``features`` [N, D] or [N, S, D]."""
    from tasks.models.dual import load_dual_encoder

    encode = load_dual_encoder(model.name, model.fingerprint, device, precision).image.encode
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
    max_tokens: int | None = None,
    lower_case: bool | None = None,
) -> Arrays:
    """Encode a split's distinct captions into ``features`` [U, D], with ``row`` and ``owner``.

    ``index_captions`` describes ``row`` [C] and ``owner`` [C]. ``names`` is for ``read_names``: a
    worker that trains on features does not read the data set.
    """
    from tasks.models.dual import load_dual_encoder
    from tasks.models.encoders import in_batches
    from tasks.models.texts import adapt_texts

    dual = load_dual_encoder(model.name, model.fingerprint, device, precision)
    encode = adapt_texts(dual, max_tokens, lower_case).text.encode
    images = load_split(data.name, split)
    distinct, row, owner = index_captions(images.captions, num_captions)
    names = to_names(images.image_ids, distinct)
    features = in_batches(encode, distinct, 4 * BATCH)
    return {"features": features, "row": row, "owner": owner, "names": names}


def to_names(image_ids: Sequence[str], captions: Sequence[str]) -> Array:
    """Return the ids of images and distinct captions as bytes: stages hold arrays."""
    return np.frombuffer(json.dumps([list(image_ids), list(captions)]).encode(), np.uint8)


def read_names(names: Array) -> tuple[list[str], list[str]]:
    """Return the ids of images [N] and the distinct captions [U] of ``to_names``."""
    image_ids, captions = json.loads(names.tobytes())
    return image_ids, captions


def read_heads(*, model: Source, device: str) -> Arrays:
    """Return the checkpoint's own heads, if any, and ``widths`` [2] of image and text features."""
    from tasks.models.dual import load_dual_encoder

    dual = load_dual_encoder(model.name, model.fingerprint, device, "float32")
    return {**dual.heads, "widths": np.array(dual.widths())}


def images_stage(trial: Trial, split: str, draw: tuple[int, int] | None = None) -> Stage:
    """Return the stage that encodes a split's images; ``draw`` is (seed, epoch) or None."""
    common = _common(trial) | {"split": split, "draw": draw}
    # Version 2 changed the augmentation, which images without a draw do not have.
    version = "1" if draw is None else "2"
    return Stage(function=encode_images, args=common, on_device=True, version=version)


def texts_stage(trial: Trial, split: str) -> Stage:
    """Return the stage that encodes a split's captions."""
    args = _common(trial) | {"split": split, "num_captions": trial.params.num_captions}
    options = {"max_tokens": trial.params.max_tokens, "lower_case": trial.params.lower_case}
    # Without options, the key is that of trials from before them.
    args |= {name: value for name, value in options.items() if value is not None}
    # Version 2 added ``names``.
    return Stage(function=encode_texts, args=args, on_device=True, version="2")


def heads_stage(trial: Trial) -> Stage:
    """Return the stage that reads the heads of the trial's checkpoint."""
    return Stage(function=read_heads, args={"model": trial.model}, on_device=True)


def training_draw(trial: Trial, epoch: int) -> tuple[int, int] | None:
    """Return the (seed, epoch) of an epoch's augmentation; epochs start at 1. None without one."""
    return (trial.seed, epoch) if trial.params.augment else None


def needed(trial: Trial) -> list[Stage]:
    """Return the stages of a trial; one that trains the encoders encodes its data itself."""
    params = trial.params
    stages = [heads_stage(trial)]
    if params.trainable != "head":
        return stages
    stages += [images_stage(trial, params.split), texts_stage(trial, params.split)]
    if params.epochs:
        stages.append(texts_stage(trial, "train"))
        draws = (training_draw(trial, epoch) for epoch in range(1, params.epochs + 1))
        stages += [images_stage(trial, "train", draw) for draw in draws]
    return list(dict.fromkeys(stages))


def _common(trial: Trial) -> dict[str, Any]:
    return {"model": trial.model, "data": trial.data, "precision": trial.params.precision}
