"""What generated pictures are judged by: the probe, real pictures, and features for the KID.

N pictures
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.contract import Source, TrialError
from tasks.datasets import concepts
from tasks.diffusion import kid, probe, realness
from tasks.progress import progress_part

Array = np.ndarray[Any, Any]


def fit(data: Source) -> Mapping[str, Array]:
    """All that is fitted to real pictures, none of which trains the generator.

    ``accuracy`` is the probe's on real pictures it was not trained on, ``real_accuracy`` the share
    of those that also count as near real pictures: what a perfect generator could score.
    """
    names = ("probe-train", "probe-test", "held-out")
    train, test, held_out = (concepts.load_split(data.name, name) for name in names)
    found: dict[str, Array] = {}
    with progress_part(0, 3):
        found |= probe.train_probe(train, test)
    with progress_part(1, 3):
        found |= realness.fit(train, held_out)
    with progress_part(2, 3):
        found |= kid.fit(train, held_out)
    right = [score(found, c, test.of(c))[0] for c in concepts.CONDITIONS]
    return {**found, "real_accuracy": np.array(np.concatenate(right).mean())}


def check(fitted: Mapping[str, Array]) -> None:
    """Refuse a probe, or reference pictures, that fail on real pictures.

    Raises:
        TrialError: with the share that counts as right.
    """
    accuracy, real = float(fitted["accuracy"]), float(fitted["real_accuracy"])
    if accuracy < probe.MIN_ACCURACY:
        raise TrialError(
            f"the probe reads {100 * accuracy:.1f} % of real held-out images correctly; under "
            f"{100 * probe.MIN_ACCURACY:.0f} % its accuracies of generated ones mean nothing"
        )
    if real < realness.MIN_ACCURACY:
        raise TrialError(
            f"only {100 * real:.1f} % of real held-out images count as near real ones, where "
            f"{100 * realness.MIN_ACCURACY:.0f} % must: the data set has too few images"
        )


def score(fitted: Mapping[str, Array], condition: str, images: Array) -> tuple[Array, Array, Array]:
    """Of images uint8 [N, 28, 28, 3] of one condition: right, attributes, relative distance.

    ``attributes`` [N, 3] are those that the probe reads as the condition has them; the distance
    [N] to the nearest real picture is 1 at the limit; ``right`` [N] are pictures with all three
    attributes and within the limit.
    """
    attributes = probe.predict(fitted, images) == concepts.to_digits(condition)
    distance = realness.relative_distance(fitted, condition, images)
    return attributes.all(1) & (distance <= 1), attributes, distance
