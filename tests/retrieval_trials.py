"""Trials of the retrieval task: small ones with random features, and ones of a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.contract import Source, Trial
from tasks.models import families
from tasks.retrieval import stages
from tasks.retrieval.params import Params
from tasks.retrieval.task import TASK


def make_trial(**params: object) -> Trial:
    source = Source(name="x", fingerprint="x")
    return Trial(
        task="retrieval",
        version="1",
        params=Params(**{"lr": 1e-2, "batch_size": 8, "augment": False} | params),  # type: ignore[arg-type]
        seed=3,
        model=source,
        data=source,
    )


def make_model_trial(name: str, **params: Any) -> Trial:
    """A trial that trains this model on the scenes."""
    return TASK.normalize(
        Trial(
            task="retrieval",
            version="1",
            params=Params(**({"augment": False} | params)),
            seed=0,
            model=families.resolve(name),
            data=Source(name="scenes", fingerprint="x"),
        )
    )


def make_inputs(trial: Trial, num_images: int = 40) -> dict[Any, Any]:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(num_images, 6))
    images = (hidden @ rng.normal(size=(6, 12))).astype(np.float32)
    texts = (np.repeat(hidden, 2, 0) @ rng.normal(size=(6, 10))).astype(np.float32)
    captions = {
        "features": texts,
        "row": np.arange(2 * num_images),
        "owner": np.repeat(np.arange(num_images), 2),
        "names": stages.to_names(
            [f"image {n}" for n in range(num_images)],
            [f"caption {n}" for n in range(2 * num_images)],
        ),
    }
    heads = {
        "image.weight": np.zeros((5, 12), np.float32),
        "image.bias": np.zeros(5, np.float32),
        "text.weight": np.zeros((5, 10), np.float32),
        "text.bias": np.zeros(5, np.float32),
        "widths": np.array([12, 10]),
    }
    values = {"encode_images": {"features": images}, "encode_texts": captions}
    return {s: values.get(s.function.__name__, heads) for s in stages.needed(trial)}
