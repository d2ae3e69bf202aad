"""The queries with the worst ranks and what they found, as samples for pages and the terminal.

Q queries, M candidates
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from tasks.retrieval.embedding import Embedder
from tasks.retrieval.params import Ties
from tasks.retrieval.ranks import Scores

NUM_QUERIES = 12  # in each direction
NUM_RANKED = 5  # candidates of a query
_NAMES = ("image_id", "caption", "ranked_images", "ranked_captions", "ranked_right")


def ranked_samples(
    split: Embedder,
    scores: Scores,
    rank: Float[np.ndarray, " Q"],
    ties: Ties,
) -> dict[str, list[Any]]:
    """Return columns of samples with the first candidates of the queries with the worst ranks.

    Args:
        split: the split that the trial is scored on.
        scores: the scores of all candidates.
        rank: the rank for each query: all images, then all captions.
        ties: which candidates are right, see ``rank``.

    Returns:
        Columns [Q] that are None for the other queries.
    """
    row, owner = split.row, split.owner
    image_ids, distinct = split.names()
    text = row if ties == "same_text" else np.arange(len(row))
    columns: dict[str, list[Any]] = {name: [None] * len(rank) for name in _NAMES}

    def add(query: int, **values: Any) -> None:
        for name, value in values.items():
            columns[name][query] = value

    number = scores.num_images
    queries = _worst(rank[:number])
    for query, found in zip(queries.tolist(), _first(scores.i2t(queries)), strict=True):
        add(
            query,
            image_id=image_ids[query],
            ranked_captions=[distinct[each] for each in row[found]],
            ranked_right=np.isin(text[found], text[owner == query]).tolist(),
        )
    queries = _worst(rank[number:])
    for query, found in zip(queries.tolist(), _first(scores.t2i(queries)), strict=True):
        add(
            number + query,
            image_id=image_ids[owner[query]],
            caption=distinct[row[query]],
            ranked_images=[image_ids[each] for each in found],
            ranked_right=np.isin(found, owner[text == text[query]]).tolist(),
        )
    return columns


def _worst(rank: Float[np.ndarray, " Q"]) -> Int[np.ndarray, " 12"]:
    return np.argsort(-rank, kind="stable")[:NUM_QUERIES]


def _first(scores: Float[np.ndarray, "Q M"]) -> Int[np.ndarray, "Q 5"]:
    """Return the candidates with the highest scores; equal ones are in the order of the data."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :NUM_RANKED]
