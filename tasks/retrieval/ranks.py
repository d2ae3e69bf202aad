"""Ranks of the right answers with an exact treatment of ties, and recalls.

N images, C captions (C >= N), U distinct texts, Q queries, B queries of a chunk, M candidates,
D embedding width; each caption belongs to one image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from tasks.retrieval.params import Ties

CUTOFFS = (1, 5, 10)
Indices = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """The rank of each query's best right candidate among the wrong candidates.

    Candidates with equal scores have no order, so ranks and hits are expectations over a random
    order.
    """

    better: Int[np.ndarray, " Q"]  # number of wrong candidates with a higher score
    tied: Int[np.ndarray, " Q"]  # number of wrong candidates with the same score
    right: Int[np.ndarray, " Q"]  # number of right candidates with the same score

    @property
    def rank(self) -> NDArray[np.float64]:
        """The expected rank, from 1: ``right`` items split the ``tied`` into ``right + 1`` runs."""
        return np.asarray(1 + self.better + self.tied / (self.right + 1))

    def hits(self, k: int) -> NDArray[np.float64]:
        """Return the probability, 0 to 1, that a right candidate is among the first ``k``.

        The better candidates take the first places. The other k - better places go to tied and
        right candidates at random, without replacement; the probability that none of them is right
        is hypergeometric.
        """
        places = k - self.better
        missed = np.ones(len(self.better))
        for drawn in range(k):
            wrong = np.maximum(self.tied - drawn, 0)
            left = np.maximum(self.tied + self.right - drawn, 1)
            missed *= np.where(drawn < places, wrong / left, 1.0)
        return 1 - missed


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The scores of all candidates, computed for some queries at a time, given by index."""

    i2t: Callable[[Indices], NDArray[Any]]  # B images -> scores of all captions [B, C]
    t2i: Callable[[Indices], NDArray[Any]]  # B captions -> scores of all images [B, N]
    num_images: int


def compare(
    images: Float[np.ndarray, "N D"],
    texts: Float[np.ndarray, "U D"],
    rows: Int[np.ndarray, " C"],
) -> Scores:
    """Return the dot products of images and captions as scores.

    Equal embeddings are scored once: a matrix product may compute equal columns with different last
    bits, which would break ties at random.

    Args:
        images: embeddings of the images.
        texts: embeddings of distinct texts.
        rows: the text of each caption.
    """
    texts = texts[rows]
    scored_texts, text_column = distinct(texts)
    scored_images, image_column = distinct(images)
    return Scores(
        i2t=lambda queries: _expand(images[queries] @ scored_texts.T, text_column),
        t2i=lambda queries: _expand(texts[queries] @ scored_images.T, image_column),
        num_images=len(images),
    )


def rank_pairs(
    images: Float[np.ndarray, "N D"],
    texts: Float[np.ndarray, "U D"],
    owner: Int[np.ndarray, " C"],
    rows: Int[np.ndarray, " C"] | None = None,
    *,
    ties: Ties = "expected",
    chunk: int = 512,
) -> tuple[Ranks, Ranks]:
    """Rank candidates by dot product: all captions for each image, all images for each caption.

    Without ``rows``, ``texts`` are the embeddings of all captions in order. See ``compare`` for the
    other embeddings, and ``rank`` for the rest.
    """
    rows = np.arange(len(texts)) if rows is None else rows
    return rank(compare(images, texts, rows), owner, rows, ties=ties, chunk=chunk)


def rank(
    scores: Scores,
    owner: Int[np.ndarray, " C"],
    rows: Int[np.ndarray, " C"],
    *,
    ties: Ties = "expected",
    chunk: int = 512,
) -> tuple[Ranks, Ranks]:
    """Rank candidates by score: all captions for each image, all images for each caption.

    The best-ranked right caption of an image counts.

    Args:
        scores: the scores.
        owner: the image of each caption.
        rows: the text of each caption.
        ties: how to count candidates with the same score as the right one.
            expected: by the mean over random orders.
            strict: as ranked before the right one.
            same_text: as expected, but captions with the same text as a right one are right too,
                and so are images that have a caption with the query's text.
        chunk: number of queries that are scored at a time.

    Returns:
        The ranks from image to text [N] and from text to image [C].
    """
    text_of = (
        rows if ties == "same_text" else np.arange(len(rows))
    )  # captions with equal values match
    i2t, t2i = [], []
    for first in range(0, scores.num_images, chunk):
        queries = np.arange(first, min(first + chunk, scores.num_images))
        right = _related(queries, owner, text_of, len(rows))
        right = right[:, text_of] if ties == "same_text" else right
        i2t.append(_count(scores.i2t(queries), right, ties))
    for first in range(0, len(rows), chunk):
        queries = np.arange(first, min(first + chunk, len(rows)))
        right = _related(text_of[queries], text_of, owner, scores.num_images)
        t2i.append(_count(scores.t2i(queries), right, ties))
    return _join(i2t), _join(t2i)


def distinct(vectors: Float[np.ndarray, "R D"]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return distinct vectors in order of appearance, and the index [R] of each vector in them."""
    known: dict[bytes, int] = {}
    vectors = np.ascontiguousarray(vectors) + 0  # -0.0 becomes 0.0
    index = np.array([known.setdefault(vector.tobytes(), len(known)) for vector in vectors])
    if len(known) == len(vectors):
        return vectors, index
    return vectors[np.unique(index, return_index=True)[1]], index


def _expand(scores: NDArray[Any], column: NDArray[np.intp]) -> NDArray[Any]:
    """Expand scores of distinct candidates to all candidates [B, M]."""
    return scores if len(column) == scores.shape[1] else scores[:, column]


def _related(
    queries: Int[np.ndarray, " B"],
    keys: Int[np.ndarray, " C"],
    values: Int[np.ndarray, " C"],
    number: int,
) -> Bool[np.ndarray, "B number"]:
    """Return whether the pairs (key, value) contain each query with each of ``number`` values."""
    wanted, row = np.unique(queries, return_inverse=True)
    index = np.searchsorted(wanted, keys).clip(max=len(wanted) - 1)
    known = wanted[index] == keys
    found = np.zeros((len(wanted), number), dtype=bool)
    found[index[known], values[known]] = True
    return found[row]


def _count(
    scores: Float[np.ndarray, "B M"], right: Bool[np.ndarray, "B M"], ties: Ties
) -> NDArray[np.int32]:
    """Return ``better``, ``tied`` and ``right`` of a chunk of queries, [3, B]."""
    best = scores.max(1, keepdims=True, where=right, initial=-np.inf)
    is_tied = scores == best
    # Booleans sum twice as fast into 32 bits as into 64.
    better, equal, own = (
        found.sum(1, dtype=np.int32) for found in (scores > best, is_tied, is_tied & right)
    )
    tied = equal - own
    if ties == "strict":
        better, tied = better + tied, np.zeros_like(tied)
    return np.stack([better, tied, own])


def _join(parts: list[NDArray[np.int32]]) -> Ranks:
    better, tied, right = np.concatenate(parts, axis=1)
    return Ranks(better=better, tied=tied, right=right)


def recalls(i2t: Ranks, t2i: Ranks) -> Mapping[str, float]:
    """Return R@1/5/10 in 0..1, median and mean rank in both directions, and rsum in 0..600."""
    metrics: dict[str, float] = {}
    for name, ranks in (("i2t", i2t), ("t2i", t2i)):
        metrics |= {f"{name}_r{k}": float(ranks.hits(k).mean()) for k in CUTOFFS}
        metrics[f"{name}_median_rank"] = float(np.median(ranks.rank))
        metrics[f"{name}_mean_rank"] = float(ranks.rank.mean())
    metrics["rsum"] = 100 * sum(metrics[f"{d}_r{k}"] for d in ("i2t", "t2i") for k in CUTOFFS)
    return metrics
