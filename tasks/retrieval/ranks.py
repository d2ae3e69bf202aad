"""Ranks of the right answer, with ties counted exactly, and the recalls made of them.

N images, C captions (C >= N), U distinct texts, Q queries; each caption belongs to one image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from tasks.retrieval.params import Ties

CUTOFFS = (1, 5, 10)


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Where each query's best-scored right candidate is among the wrong ones.

    Candidates of one score have no order, so the values are expectations over a random one.
    """

    better: Int[np.ndarray, " Q"]  # wrong candidates that score higher
    tied: Int[np.ndarray, " Q"]  # wrong candidates that score the same
    right: Int[np.ndarray, " Q"]  # right candidates of that score

    @property
    def rank(self) -> NDArray[np.float64]:
        """The expected 1-based rank: ``right`` items part the ``tied`` into ``right + 1`` runs."""
        return np.asarray(1 + self.better + self.tied / (self.right + 1))

    def hits(self, k: int) -> NDArray[np.float64]:
        """The probability, 0 to 1, that a right candidate is among the first ``k``.

        After the better ones, k - better places are drawn from the tied and right ones without
        replacement. All of them miss with a hypergeometric probability.
        """
        places = k - self.better
        missed = np.ones(len(self.better))
        for drawn in range(k):
            wrong = np.maximum(self.tied - drawn, 0)
            left = np.maximum(self.tied + self.right - drawn, 1)
            missed *= np.where(drawn < places, wrong / left, 1.0)
        return 1 - missed


def rank_pairs(
    images: Float[np.ndarray, "N D"],
    texts: Float[np.ndarray, "U D"],
    owner: Int[np.ndarray, " C"],
    rows: Int[np.ndarray, " C"] | None = None,
    *,
    ties: Ties = "expected",
    chunk: int = 512,
) -> tuple[Ranks, Ranks]:
    """Ranks (image to text [N], text to image [C]) by dot product.

    Args:
        images: their embeddings.
        texts: embeddings of distinct texts, or without ``rows`` of all captions in order.
        owner: the image of each caption.
        rows: the text of each caption.
        ties: how candidates that score the same as the right one count.
            expected: the mean over their random orders.
            strict: each of them is ranked before the right one.
            same_text: as expected, but a caption of the same text as a right one is right too,
                and an image that has a caption of the query's text is a right answer to it.
        chunk: queries scored at a time.

    The candidates of an image are all captions, and the best-ranked of its own counts. Equal
    embeddings are scored once: a matrix product can give equal columns different last bits, so
    that their order would be decided by its blocking.
    """
    rows = np.arange(len(texts)) if rows is None else rows
    texts = texts[rows]
    scored_texts, text_column = _distinct(texts)
    scored_images, image_column = _distinct(images)
    text_of = rows if ties == "same_text" else np.arange(len(rows))  # what makes a caption right
    i2t, t2i = [], []
    for first in range(0, len(images), chunk):
        queries = np.arange(first, min(first + chunk, len(images)))
        right = _related(queries, owner, text_of, len(rows))
        right = right[:, text_of] if ties == "same_text" else right
        scores = _spread(images[queries] @ scored_texts.T, text_column)
        i2t.append(_count(scores, right, ties))
    for first in range(0, len(rows), chunk):
        queries = np.arange(first, min(first + chunk, len(rows)))
        right = _related(text_of[queries], text_of, owner, len(images))
        scores = _spread(texts[queries] @ scored_images.T, image_column)
        t2i.append(_count(scores, right, ties))
    return _join(i2t), _join(t2i)


def _distinct(vectors: Float[np.ndarray, "R D"]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Distinct vectors in order of appearance, and the index [R] of each vector into them."""
    known: dict[bytes, int] = {}
    vectors = np.ascontiguousarray(vectors) + 0  # -0.0 becomes 0.0
    index = np.array([known.setdefault(vector.tobytes(), len(known)) for vector in vectors])
    if len(known) == len(vectors):
        return vectors, index
    return vectors[np.unique(index, return_index=True)[1]], index


def _spread(scores: NDArray[Any], column: NDArray[np.intp]) -> NDArray[Any]:
    """Scores [B, distinct] of all candidates [B, M]."""
    return scores if len(column) == scores.shape[1] else scores[:, column]


def _related(
    queries: Int[np.ndarray, " B"],
    keys: Int[np.ndarray, " C"],
    values: Int[np.ndarray, " C"],
    number: int,
) -> Bool[np.ndarray, "B number"]:
    """Which of ``number`` values each query has, by pairs of key and value."""
    wanted, row = np.unique(queries, return_inverse=True)
    place = np.searchsorted(wanted, keys).clip(max=len(wanted) - 1)
    known = wanted[place] == keys
    found = np.zeros((len(wanted), number), dtype=bool)
    found[place[known], values[known]] = True
    return found[row]


def _count(
    scores: Float[np.ndarray, "B M"], right: Bool[np.ndarray, "B M"], ties: Ties
) -> NDArray[np.int32]:
    """``better``, ``tied`` and ``right`` of some queries, [3, B]."""
    best = scores.max(1, keepdims=True, where=right, initial=-np.inf)
    level = scores == best
    # Booleans sum twice as fast into 32 bits as into 64.
    better, both, own = (
        found.sum(1, dtype=np.int32) for found in (scores > best, level, level & right)
    )
    tied = both - own
    if ties == "strict":
        better, tied = better + tied, np.zeros_like(tied)
    return np.stack([better, tied, own])


def _join(parts: list[NDArray[np.int32]]) -> Ranks:
    better, tied, right = np.concatenate(parts, axis=1)
    return Ranks(better=better, tied=tied, right=right)


def recalls(i2t: Ranks, t2i: Ranks) -> Mapping[str, float]:
    """R@1/5/10 in 0..1, median and mean rank in both directions, and rsum in 0..600."""
    metrics: dict[str, float] = {}
    for name, ranks in (("i2t", i2t), ("t2i", t2i)):
        metrics |= {f"{name}_r{k}": float(ranks.hits(k).mean()) for k in CUTOFFS}
        metrics[f"{name}_median_rank"] = float(np.median(ranks.rank))
        metrics[f"{name}_mean_rank"] = float(ranks.rank.mean())
    metrics["rsum"] = 100 * sum(metrics[f"{d}_r{k}"] for d in ("i2t", "t2i") for k in CUTOFFS)
    return metrics
