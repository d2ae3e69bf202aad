"""Draw the pairs of images and captions of an epoch.

N images, C captions, B batch
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from tasks.contract import TrialError
from tasks.retrieval.params import Pairs


def num_pairs(
    captions: Sequence[Sequence[str]], pairs: Pairs | None, num_captions: int | None
) -> int:
    """Return the number of pairs of an epoch from the captions of each image."""
    if pairs != "all":
        return len(captions)
    return sum(len(each[:num_captions]) for each in captions)


def draw_pairs(
    row: Int[np.ndarray, " C"],
    owner: Int[np.ndarray, " C"],
    pairs: Pairs | None,
    *,
    seed: int,
    epoch: int,
    batch_size: int,
) -> Int[np.ndarray, "steps 2 B"]:
    """Return the batches of an epoch as indices of images and of distinct captions.

    Args:
        row: the distinct caption of each caption.
        owner: the image of each caption, in order.
        pairs: which captions of an image take part; None is random.
        seed: the seed of the trial.
        epoch: the number of the epoch, from 1.
        batch_size: the number of pairs B of a step; the last, smaller batch is dropped.

    Raises:
        TrialError: if there are fewer pairs than ``batch_size``.
    """
    rng = np.random.default_rng([seed, epoch])
    if pairs == "all":
        images, captions = owner, np.arange(len(owner))
    else:
        counts = np.bincount(owner)
        first = np.concatenate([[0], np.cumsum(counts)[:-1]])
        images, captions = np.arange(len(counts)), first + _turn(counts, pairs, rng, seed, epoch)
    order = rng.permutation(len(images))
    num_steps = len(order) // batch_size
    if num_steps == 0:
        raise TrialError(
            f"`batch_size <= training pairs` must hold, but got {batch_size} > {len(order)}"
        )
    kept = order[: num_steps * batch_size].reshape(num_steps, batch_size)
    return np.stack([images[kept], row[captions[kept]]], axis=1)


def _turn(
    counts: Int[np.ndarray, " N"],
    pairs: Pairs | None,
    rng: np.random.Generator,
    seed: int,
    epoch: int,
) -> NDArray[np.int64]:
    """Return which of its captions each image has in this epoch, from 0."""
    if pairs == "cycle":  # from a random one on, so that an epoch has early and late captions
        start = np.random.default_rng(seed).integers(counts)
        return np.asarray((start + epoch - 1) % counts)
    return rng.integers(counts)
