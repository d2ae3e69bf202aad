"""What the worst queries found, against a slow oracle."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch

from tasks.retrieval import stages
from tasks.retrieval.embedding import FrozenFeatures
from tasks.retrieval.params import Ties
from tasks.retrieval.ranked_samples import NUM_QUERIES, NUM_RANKED, ranked_samples
from tasks.retrieval.ranks import compare, rank_pairs

N, U = 30, 50  # images and distinct captions


def slow_ranking(scores: np.ndarray[Any, Any]) -> list[int]:
    return sorted(range(len(scores)), key=lambda each: (-scores[each], each))[:NUM_RANKED]


@pytest.mark.parametrize("ties", ["expected", "strict", "same_text"])
def test_the_worst_queries_list_their_first_candidates(ties: str) -> None:
    rng = np.random.default_rng(0)
    # Products of small integers are exact, and ties are frequent.
    images = rng.integers(0, 3, (N, 3)).astype(np.float32)
    texts = rng.integers(0, 3, (U, 3)).astype(np.float32)
    owner, row = np.repeat(np.arange(N), 2), rng.integers(0, U, 2 * N)
    ids, captions = [f"i{n}" for n in range(N)], [f"{n} ☂" for n in range(U)]
    split = FrozenFeatures(
        image_features=torch.from_numpy(images),
        text_features=torch.from_numpy(texts),
        row=row,
        owner=owner,
        encoded_names=stages.to_names(ids, captions),
    )
    found = rank_pairs(images, texts, owner, row, ties=cast(Ties, ties))
    rank = np.concatenate([each.rank for each in found])
    columns = ranked_samples(split, compare(images, texts, split.row), rank, cast(Ties, ties))
    assert {len(column) for column in columns.values()} == {3 * N}

    def is_right(image: int, caption: int) -> bool:
        if ties == "same_text":
            return row[caption] in row[owner == image]
        return bool(owner[caption] == image)

    shown = [n for n in range(N) if columns["ranked_captions"][n] is not None]
    assert len(shown) == NUM_QUERIES
    assert min(rank[shown]) >= max(rank[[n for n in range(N) if n not in shown]])
    for n in shown:
        expected = slow_ranking((images[n] @ texts.T)[row])
        assert columns["image_id"][n] == ids[n]
        assert columns["ranked_captions"][n] == [captions[row[each]] for each in expected]
        assert columns["ranked_right"][n] == [is_right(n, each) for each in expected]
        assert columns["caption"][n] is columns["ranked_images"][n] is None
    shown = [n for n in range(2 * N) if columns["ranked_images"][N + n] is not None]
    assert len(shown) == NUM_QUERIES
    for n in shown:
        expected = slow_ranking(images @ texts[row[n]])
        same = np.flatnonzero(row == row[n]) if ties == "same_text" else [n]
        assert columns["image_id"][N + n] == ids[owner[n]]
        assert columns["caption"][N + n] == captions[row[n]]
        assert columns["ranked_images"][N + n] == [ids[each] for each in expected]
        assert columns["ranked_right"][N + n] == [
            any(owner[caption] == each for caption in same) for each in expected
        ]


def test_a_split_may_be_smaller_than_the_lists() -> None:
    one = np.ones((2, 3), np.float32)
    split = FrozenFeatures(
        image_features=torch.from_numpy(one),
        text_features=torch.from_numpy(one),
        row=np.arange(2),
        owner=np.arange(2),
        encoded_names=stages.to_names(["a", "b"], ["c", "d"]),
    )
    columns = ranked_samples(
        split, compare(one, one, split.row), np.array([1.5, 1.5, 1.5, 1.5]), "expected"
    )
    assert columns["ranked_captions"] == [["c", "d"], ["c", "d"], None, None]
    assert columns["ranked_right"] == [[True, False], [False, True], [True, False], [False, True]]
