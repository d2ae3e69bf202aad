"""CLIPScore and RefCLIPScore of captions, by a named image-text model (Hessel et al. 2021).

N images, C texts, R references of all images, P the width of the shared space
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tasks.captioning.params import Params
from tasks.contract import Inputs, ModelError, Source, Stage, Trial
from tasks.datasets.registry import load_split
from tasks.interrupt import check_interrupt
from tasks.models import families, folders
from tasks.progress import report_progress

Array = np.ndarray[Any, Any]
WEIGHT = 2.5  # w of equation 1
PREFIX = "A photo depicts "  # before every text, section 3
BATCH = 64
SEPARATOR = "#"  # between a model's name and its fingerprint, in ``Params.clip``
_FINGERPRINT = re.compile("[0-9a-f]{16}")


def resolve_clip(clip: str) -> str:
    """Return the name of an image-text model with its fingerprint, NAME#FINGERPRINT.

    A value of this form is returned as it is.

    Raises:
        ModelError: if the model does not exist, has no pretrained heads, or is not the model that
            the fingerprint names.
    """
    name, _, fingerprint = clip.rpartition(SEPARATOR)
    if not _FINGERPRINT.fullmatch(fingerprint) or folders.is_path(clip):
        name, fingerprint = clip, ""
    source = _resolve(name)
    if fingerprint and source.fingerprint != fingerprint:
        raise ModelError(
            f"clip={name} has changed: its fingerprint is {source.fingerprint}, but these trials "
            f"used {fingerprint}; restore that model, or start a new sweep"
        )
    return f"{source.name}{SEPARATOR}{source.fingerprint}"


def _resolve(name: str) -> Source:
    """Return the model with its fingerprint; every trial of a sweep asks for it."""
    folder = folders.find_folder(name) if folders.is_path(name) else _find_once(name)
    status = [(file, file.stat()) for file in folders.list_files(folder)]
    return _check_once(name, tuple((str(f), s.st_size, s.st_mtime_ns) for f, s in status))


@lru_cache(maxsize=8)
def _find_once(name: str) -> Path:
    """Return the folder of the shipped model or a Hugging Face id, which takes requests to find."""
    return folders.find_folder(name)


@lru_cache(maxsize=8)
def _check_once(name: str, files: tuple[tuple[str, int, int], ...]) -> Source:
    """Check and resolve a model; ``files`` with size and modification time show its changes."""
    folders.read_config(folders.find_folder(name))
    try:
        families.check_weights(name, heads=True)
    except ModelError:
        raise ModelError(
            f"clip={name} has no pretrained heads for images and texts; use a CLIP, a SigLIP, or a "
            "BLIP for retrieval"
        ) from None
    return folders.resolve(name)


def clip_stage(trial: Trial) -> Stage | None:
    """Return the stage that embeds images and references; None without CLIPScore."""
    params: Params = trial.params
    if params.clip is None:
        return None
    name, _, fingerprint = params.clip.rpartition(SEPARATOR)
    return Stage(
        function=embed_split,
        args={
            "model": Source(name=name, fingerprint=fingerprint),
            "data": trial.data,
            "split": params.split,
            "num_images": params.num_images,
        },
        on_device=True,
    )


def embed_split(
    *, model: Source, data: Source, split: str, num_images: int | None, device: str
) -> Mapping[str, Array]:
    """Embed the images of a split and all their references.

    Returns ``images`` [N, P], ``references`` [R, P] and ``counts`` [N], the number of references
    of each image.
    """
    chosen = load_split(data.name, split)
    number = min(len(chosen), num_images or len(chosen))
    references = [list(texts) for texts in chosen.captions[:number]]
    rows = []
    for first in range(0, number, BATCH):
        check_interrupt()
        report_progress(first, number)
        batch = [chosen.load(i) for i in range(first, min(first + BATCH, number))]
        rows.append(_embed("image", batch, model, device))
    return {
        "images": np.concatenate(rows),
        "references": embed_texts([t for texts in references for t in texts], model, device),
        "counts": np.array([len(texts) for texts in references]),
    }


def embed_texts(texts: Sequence[str], model: Source, device: str) -> Array:
    """Embed texts after ``PREFIX`` into unit vectors [C, P]."""
    rows = []
    for first in range(0, len(texts), BATCH):
        check_interrupt()
        batch = [PREFIX + text for text in texts[first : first + BATCH]]
        rows.append(_embed("text", batch, model, device))
    return np.concatenate(rows)


def _embed(side: str, items: Sequence[Any], model: Source, device: str) -> Array:
    import torch

    from tasks.models.dual import load_dual_encoder
    from tasks.models.heads import project

    dual = load_dual_encoder(model.name, model.fingerprint, device, "float32")
    heads = {name: torch.from_numpy(value) for name, value in dual.heads.items()}
    encoder = dual.image if side == "image" else dual.text
    with torch.inference_mode():
        vectors = project(heads, side, torch.from_numpy(encoder.encode(items)))
    return np.asarray(vectors.numpy())


def score_captions(
    captions: Sequence[str], trial: Trial, inputs: Inputs, device: str
) -> dict[str, Array]:
    """Return ``clip_score`` and ``ref_clip_score`` of each image [N]; nothing without a model."""
    stage = clip_stage(trial)
    if stage is None:
        return {}
    found = inputs[stage]
    number: int | None = trial.params.num_references
    texts = embed_texts(captions, stage.args["model"], device)
    ends = np.cumsum(found["counts"])[: len(captions)]
    parts = [
        found["references"][end - count : end][:number]
        for end, count in zip(ends, found["counts"], strict=False)
    ]
    return clip_scores(found["images"][: len(captions)], texts, parts)


def clip_scores(images: Array, texts: Array, references: Sequence[Array]) -> dict[str, Array]:
    """Return both scores from unit vectors: images and captions [N, P], references by image.

    RefCLIPScore is the harmonic mean of CLIPScore and of the highest similarity of the caption to
    a reference, if that is above 0.
    """
    score = WEIGHT * np.maximum((images * texts).sum(axis=1), 0)
    nearest = np.array(
        [max(0.0, float((each @ text).max())) for each, text in zip(references, texts, strict=True)]
    )
    total = score + nearest
    harmonic = 2 * score * nearest / np.where(total > 0, total, 1)
    return {"clip_score": score.astype(float), "ref_clip_score": harmonic.astype(float)}
