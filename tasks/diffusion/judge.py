"""Judge generated images by a probe, by their distance to real images, and by the KID.

N images, A attributes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.contract import Source, TrialError
from tasks.datasets.conditions import to_digits
from tasks.diffusion import data, kid, probe, realness
from tasks.progress import progress_part

Array = np.ndarray[Any, Any]


def fit(source: Source) -> Mapping[str, Array]:
    """Fit everything that needs real images. None of these images trains the generator.

    ``accuracy`` is the accuracy of the probe on held-out real images. ``real_accuracy`` is the
    fraction of them that is also close to other real images: the score of a perfect generator.
    """
    names = ("probe-train", "probe-test", "held-out")
    codes = data.all_codes(source)
    train, test, held_out = (data.load_split(source, name, codes) for name in names)
    found: dict[str, Array] = {}
    with progress_part(0, 3):
        found |= probe.train_probe(train, test)
    with progress_part(1, 3):
        found |= realness.fit(train, held_out)
    with progress_part(2, 3):
        found |= kid.fit(train, held_out)
    right = [score(found, code, test.of(code))[0] for code in codes]
    return {**found, "real_accuracy": np.array(np.concatenate(right).mean())}


def check(fitted: Mapping[str, Array], least: float | None = None) -> None:
    """Raise an error if the judge rejects too many real images.

    Args:
        fitted: the judge.
        least: the smallest fraction for both criteria; None for the default of each.

    Raises:
        TrialError: the message has the fraction that it accepts.
    """
    accuracy, real = float(fitted["accuracy"]), float(fitted["real_accuracy"])
    least_probe = probe.MIN_ACCURACY if least is None else least
    least_real = realness.MIN_ACCURACY if least is None else least
    if accuracy < least_probe:
        raise TrialError(
            f"the probe classifies {100 * accuracy:.1f} % of real held-out images correctly; below "
            f"{100 * least_probe:.0f} % its accuracies of generated images mean nothing; use "
            "images that differ more, or accept this with --set min_real_accuracy=SHARE"
        )
    if real < least_real:
        raise TrialError(
            f"only {100 * real:.1f} % of real held-out images count as close to real images, but "
            f"{100 * least_real:.0f} % must: the data set has too few images; add some, or accept "
            "this with --set min_real_accuracy=SHARE"
        )


def score(fitted: Mapping[str, Array], condition: str, images: Array) -> tuple[Array, Array, Array]:
    """Judge images uint8 [N, 28, 28, 3] of one condition.

    Returns:
        ``right`` [N]: all attributes are right and the distance is at most 1.
        ``attributes`` [N, A]: whether the probe predicts each attribute of the condition.
        ``distance`` [N]: the distance to the nearest real image, relative to the limit.
    """
    attributes = probe.predict(fitted, images) == to_digits(condition)
    distance = realness.relative_distance(fitted, condition, images)
    return attributes.all(1) & (distance <= 1), attributes, distance
