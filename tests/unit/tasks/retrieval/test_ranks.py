"""Ranks and recalls compared with slow oracles, with ties and several captions per image."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import combinations

import jaxtyping
import numpy as np
import pytest
from paths import SHARED

from tasks.retrieval.params import Ties
from tasks.retrieval.ranks import Ranks, rank_pairs, recalls
from tasks.retrieval.stages import index_captions

EVERY = ("expected", "strict", "same_text")


def slow_query(
    scores: Iterable[float], right: set[int], ties: Ties, ks: tuple[int, ...] = (1, 2, 5)
) -> list[float]:
    """The mean rank and the hits over every order of the tied candidates."""
    scores = list(scores)
    best = max(scores[c] for c in right)
    better = sum(score > best for c, score in enumerate(scores) if c not in right)
    tied = [c for c, score in enumerate(scores) if score == best]
    places = list(combinations(range(len(tied)), sum(c in right for c in tied)))
    # Every order of the tied candidates; with ``strict`` only the one with the correct ones last.
    ranks = [1 + better + min(place) for place in (places[-1:] if ties == "strict" else places)]
    hits = [sum(rank <= k for rank in ranks) / len(ranks) for k in ks]
    return [sum(ranks) / len(ranks), *hits]


def slow_ranks(
    images: np.ndarray, texts: np.ndarray, owner: np.ndarray, rows: np.ndarray, ties: Ties
) -> tuple[np.ndarray, np.ndarray]:
    """[N, 4] and [C, 4], pair by pair. ``math.fsum`` gives equal embeddings equal scores."""

    def score(image: np.ndarray, text: np.ndarray) -> float:
        return math.fsum(float(a) * float(b) for a, b in zip(image, text, strict=True))

    scores = [[score(image, texts[row]) for row in rows] for image in images]
    of_image: list[set[int]] = [
        {c for c, o in enumerate(owner) if o == i} for i in range(len(images))
    ]
    of_text: list[set[int]] = [{int(o)} for o in owner]
    if ties == "same_text":
        of_image = [
            {c for c in range(len(rows)) if rows[c] in {rows[own] for own in mine}}
            for mine in of_image
        ]
        of_text = [{int(owner[c]) for c in range(len(rows)) if rows[c] == row} for row in rows]
    i2t = [slow_query(scores[i], of_image[i], ties) for i in range(len(images))]
    t2i = [slow_query([line[c] for line in scores], of_text[c], ties) for c in range(len(rows))]
    return np.array(i2t), np.array(t2i)


def as_columns(ranks: Ranks) -> np.ndarray:
    return np.stack([ranks.rank, *(ranks.hits(k) for k in (1, 2, 5))], axis=1)


@pytest.mark.parametrize("ties", EVERY)
@pytest.mark.parametrize("counts", [[1, 1, 1, 1, 1, 1], [3, 3, 3], [1, 3, 2], [2]])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("chunk", [2, 1024])
def test_ranks_match_the_slow_oracle_on_integers(
    counts: list[int], dtype: type, chunk: int, ties: Ties
) -> None:
    rng = np.random.default_rng(len(counts))
    # With small integers products are exact and ties are frequent.
    images = rng.integers(0, 2, (len(counts), 2)).astype(dtype)
    texts = rng.integers(0, 2, (sum(counts), 2)).astype(dtype)
    owner = np.repeat(np.arange(len(counts)), counts)
    found = rank_pairs(images, texts, owner, ties=ties, chunk=chunk)
    expected = slow_ranks(images, texts, owner, np.arange(len(owner)), ties)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(as_columns(ours), theirs, atol=1e-12)


@pytest.mark.parametrize("ties", EVERY)
@pytest.mark.parametrize("num_captions", [1, 2])
@pytest.mark.parametrize("chunk", [3, 1024])
def test_ranks_match_the_slow_oracle_on_repeated_captions_and_images(
    num_captions: int, chunk: int, ties: Ties
) -> None:
    rng = np.random.default_rng(num_captions)
    distinct = rng.normal(size=(7, 37)).astype(np.float32)
    images = np.concatenate([distinct, distinct[:3]])  # three images twice
    texts = rng.normal(size=(8, 37)).astype(np.float32)
    texts[:5] += 3 * images[:5]
    texts[7] = texts[6]  # another text with the same embedding
    owner = np.repeat(np.arange(len(images)), num_captions)
    rows = rng.integers(len(texts), size=len(owner))
    rows[:2], rows[2], rows[-1] = rows[0], 6, 7
    found = rank_pairs(images, texts, owner, rows, ties=ties, chunk=chunk)
    expected = slow_ranks(images, texts, owner, rows, ties)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(as_columns(ours), theirs, atol=1e-12)
        assert (ours.tied > 0).any() == (ties != "strict")


@pytest.mark.parametrize("right", [1, 2, 5])
@pytest.mark.parametrize("tied", [0, 1, 4, 30])
@pytest.mark.parametrize("better", [0, 3, 9, 10])
def test_hits_are_expectations_over_random_tie_breaking(better: int, tied: int, right: int) -> None:
    ranks = Ranks(better=np.array([better]), tied=np.array([tied]), right=np.array([right]))
    rng = np.random.default_rng(0)
    first = rng.random((40_000, tied + right)).argsort(1)[:, :right].min(1)
    drawn = 1 + better + first
    # 40,000 draws: five standard errors of a share are 0.0125, of a rank at most 0.025 times 9.
    assert ranks.rank[0] == pytest.approx(drawn.mean(), abs=0.23)
    for k in (1, 5, 10):
        assert ranks.hits(k)[0] == pytest.approx((drawn <= k).mean(), abs=0.0125)
    if tied == 0:
        assert [ranks.hits(k)[0] for k in (1, 5, 10)] == [float(better < k) for k in (1, 5, 10)]


def test_equal_scores_give_chance_recall() -> None:
    same = np.ones((4, 2), dtype=np.float32)
    found = rank_pairs(same, same, np.arange(4))
    assert all(ranks.rank.tolist() == [2.5] * 4 for ranks in found)
    assert recalls(*found)["i2t_r1"] == 1 / 4
    strict = recalls(*rank_pairs(same, same, np.arange(4), ties="strict"))
    assert strict["i2t_mean_rank"] == 4
    assert strict["rsum"] == 2 * 100 * 2  # R@5 and R@10, both ways


def test_equal_captions_are_always_tied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal columns of a matrix product can differ in the last bits."""
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(40, 256)).astype(np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    rows = rng.integers(40, size=331)
    images = texts[rows] + rng.normal(size=(331, 256)).astype(np.float32) / 64
    for captions, index in ((texts, rows), (texts[rows], None)):
        i2t, t2i = rank_pairs(images, captions, np.arange(331), index)
        groups = np.bincount(rows)[rows]
        np.testing.assert_array_equal(i2t.tied + 1, groups)
        np.testing.assert_array_equal(i2t.better, 0)
        assert recalls(i2t, t2i)["i2t_r1"] == pytest.approx((1 / groups).mean())


@pytest.mark.parametrize("ties", EVERY)
def test_best_possible_recall_on_the_captions_of_the_lab(ties: Ties) -> None:
    """262 of the lab's 1449 captions are under more than one image, in 97 groups."""
    file = SHARED / "voc2012-captions" / "blip_greedy_ref.txt"  # of the validation split
    if not file.is_file():
        pytest.skip("the captions of ../shared/data are not on this machine")
    captions = [[caption] for caption in file.read_text().splitlines()]
    distinct, rows, owner = index_captions(captions)
    sizes = np.bincount(rows)
    assert (len(captions), int((sizes > 1).sum()), int(sizes[sizes > 1].sum())) == (1449, 97, 262)
    texts = np.random.default_rng(0).normal(size=(len(distinct), 64)).astype(np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    scores = recalls(*rank_pairs(texts[rows], texts, owner, rows, ties=ties))
    best = {"expected": len(sizes) / 1449, "strict": (1449 - 262) / 1449, "same_text": 1.0}[ties]
    for direction in ("i2t", "t2i"):
        assert scores[f"{direction}_r1"] == pytest.approx(best, abs=1e-12)


def test_wrong_shape_is_refused_in_tests() -> None:
    """The option ``--jaxtyping-packages`` in pyproject.toml checks the annotated shapes."""
    with pytest.raises(jaxtyping.TypeCheckError):
        Ranks(better=np.zeros(3, int), tied=np.zeros(4, int), right=np.zeros(3, int))
