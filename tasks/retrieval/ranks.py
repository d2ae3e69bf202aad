"""Ranks of the right answer, and the recalls made of them.

N images, C captions (C >= N); each caption belongs to one image.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

Ranks = NDArray[np.int64]


def rank_pairs(
    images: Float[np.ndarray, "N D"],
    texts: Float[np.ndarray, "C D"],
    owner: Int[np.ndarray, " C"],
    chunk: int = 1024,
) -> tuple[Ranks, Ranks]:
    """1-based ranks (image to text [N], text to image [C]) by dot product.

    Ties count against the model: a wrong candidate that scores as high stands before the right
    one. Image to text takes the best-ranked of an image's own captions, ranked among the others'.
    """
    i2t = np.empty(len(images), dtype=np.int64)
    t2i = np.empty(len(texts), dtype=np.int64)
    for first in range(0, len(images), chunk):
        scores = images[first : first + chunk] @ texts.T
        rows = np.arange(first, first + len(scores))
        own = owner[None, :] == rows[:, None]
        best = np.where(own, scores, -np.inf).max(1)
        i2t[rows] = 1 + ((scores >= best[:, None]) & ~own).sum(1)
    for first in range(0, len(texts), chunk):
        scores = texts[first : first + chunk] @ images.T
        rows = np.arange(len(scores))
        right = scores[rows, owner[first : first + chunk]]
        t2i[first : first + chunk] = (scores >= right[:, None]).sum(1)
    return i2t, t2i


def recalls(i2t: Ranks, t2i: Ranks) -> Mapping[str, float]:
    """R@1/5/10 in 0..1, median and mean rank in both directions, and rsum in 0..600."""
    metrics: dict[str, float] = {}
    for name, ranks in (("i2t", i2t), ("t2i", t2i)):
        metrics |= {f"{name}_r{k}": float((ranks <= k).mean()) for k in (1, 5, 10)}
        metrics[f"{name}_median_rank"] = float(np.median(ranks))
        metrics[f"{name}_mean_rank"] = float(ranks.mean())
    metrics["rsum"] = 100 * sum(metrics[f"{d}_r{k}"] for d in ("i2t", "t2i") for k in (1, 5, 10))
    return metrics
