"""Which captions of an image an epoch uses, and in which batches."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from retrieval_trials import make_model_trial

from tasks.contract import DataError, TrialError
from tasks.datasets import scenes
from tasks.retrieval.pairs import draw_pairs, num_pairs
from tasks.retrieval.params import Pairs
from tasks.retrieval.stages import index_captions
from tasks.retrieval.task import TASK

CAPTIONS = [["a", "b", "c"], ["d"], ["a", "e"], ["f", "g", "h", "i"], ["j", "k"], ["l", "m"]]
DISTINCT, ROW, OWNER = index_captions(CAPTIONS)


def draw(pairs: Pairs | None, *, seed: int = 0, epoch: int = 1, batch_size: int = 2) -> np.ndarray:
    return draw_pairs(ROW, OWNER, pairs, seed=seed, epoch=epoch, batch_size=batch_size)


def named(batches: np.ndarray) -> list[tuple[int, str]]:
    images, texts = batches.transpose(1, 0, 2).reshape(2, -1)
    return [(int(image), DISTINCT[text]) for image, text in zip(images, texts, strict=True)]


@pytest.mark.parametrize("pairs", [None, "random", "cycle", "all"])
def test_pairs_are_right_and_follow_seed_and_epoch(pairs: Pairs | None) -> None:
    batches = draw(pairs)
    assert batches.shape == ((7 if pairs == "all" else 3), 2, 2)
    assert all(text in CAPTIONS[image] for image, text in named(batches))
    assert np.array_equal(batches, draw(pairs))
    assert not np.array_equal(batches, draw(pairs, epoch=2))
    assert not np.array_equal(batches, draw(pairs, seed=1))


@pytest.mark.parametrize("pairs", [None, "random", "cycle"])
def test_each_image_occurs_once_in_an_epoch(pairs: Pairs | None) -> None:
    for epoch in range(1, 6):
        assert sorted(image for image, _ in named(draw(pairs, epoch=epoch))) == [*range(6)]


def test_cycle_uses_every_caption_equally_often() -> None:
    for seed in range(3):
        epochs = [named(draw("cycle", seed=seed, epoch=epoch)) for epoch in range(1, 13)]
        seen = Counter(pair for epoch in epochs for pair in epoch)
        expected = {
            (image, text): 12 // len(own) for image, own in enumerate(CAPTIONS) for text in own
        }
        assert seen == expected
    starts = {named(draw("cycle", seed=seed))[0] for seed in range(20)}
    assert len(starts) > 3  # an epoch does not begin with all first captions


def test_all_uses_every_pair_once_and_drops_only_the_last_batch() -> None:
    every = Counter((image, text) for image, own in enumerate(CAPTIONS) for text in own)
    assert Counter(named(draw("all"))) == every
    assert len(named(draw("all", batch_size=4))) == 12
    assert set(named(draw("all", batch_size=4))) < set(every)


def test_random_draws_are_those_of_earlier_releases() -> None:
    rng = np.random.default_rng([5, 2])
    counts = np.array([len(own) for own in CAPTIONS])
    chosen = rng.integers(counts)
    order = rng.permutation(6)
    expected = [(int(image), CAPTIONS[image][chosen[image]]) for image in order]
    found = draw(None, seed=5, epoch=2)
    assert sorted(named(found)) == sorted(expected)
    assert found[:, 0].ravel().tolist() == order.tolist()


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(TrialError, match=r"batch_size <= training pairs.*got 7 > 6"):
        draw(None, batch_size=7)
    with pytest.raises(TrialError, match=r"batch_size <= training pairs.*got 15 > 14"):
        draw("all", batch_size=15)


@pytest.mark.parametrize("num_captions", [None, 1, 2])
@pytest.mark.parametrize("pairs", [None, "random", "cycle", "all"])
def test_the_number_of_pairs_is_that_of_an_epoch(
    pairs: Pairs | None, num_captions: int | None
) -> None:
    _, row, owner = index_captions(CAPTIONS, num_captions)
    number = num_pairs(CAPTIONS, pairs, num_captions)
    drawn = draw_pairs(row, owner, pairs, seed=0, epoch=1, batch_size=number)
    assert drawn.shape == (1, 2, number)
    with pytest.raises(TrialError, match=f"got {number + 1} > {number}"):
        draw_pairs(row, owner, pairs, seed=0, epoch=1, batch_size=number + 1)


def test_a_batch_of_all_pairs_may_be_larger_than_the_number_of_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scenes, "SPLITS", {"train": 8, "val": 8, "test": 8})
    model = TASK.default_model
    most = sum(map(len, scenes.load_split("train").captions))
    assert most > 9
    assert make_model_trial(model, pairs="all", batch_size=most).params.batch_size == most
    with pytest.raises(DataError, match=rf"batch_size <= training pairs.*got {most + 1} > {most}"):
        make_model_trial(model, pairs="all", batch_size=most + 1)
    for options in ({}, {"pairs": "all", "num_captions": 1}):
        with pytest.raises(DataError, match=r"batch_size <= training pairs.*got 9 > 8"):
            make_model_trial(model, batch_size=9, **options)
