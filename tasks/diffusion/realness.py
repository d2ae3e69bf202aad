"""Whether a picture is near real pictures of its condition: the distance to the nearest one.

A linear probe gives an answer for any picture, an empty one included. So a picture also has to be
as near to some real picture of its condition as 99 % of real pictures are that were held out. The
distance is the root mean square over pixels, in gray levels. Pixels need no training, an exact
value is cheap, and they see what a classifier's features learn to ignore: noise and blur.

N pictures, R reference pictures, C = 8 conditions
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.datasets import concepts

Array = np.ndarray[Any, Any]
QUANTILE = 0.99  # of the distances of held-out real pictures
MIN_ACCURACY = 0.95  # of real pictures; if fewer are right, the references are too few


def fit(references: concepts.Concepts, held_out: concepts.Concepts) -> Mapping[str, Array]:
    """``references`` uint8 [R, 28, 28, 3], their ``reference_digits`` [R, 3], ``limits`` [C].

    No reference picture trains the generator, and no held-out picture is a reference. ``limits``
    are the largest distances that count as near, in the order of the conditions.
    """
    found = {"references": references.images, "reference_digits": references.digits}
    limits = [
        np.quantile(nearest(found, condition, held_out.of(condition)), QUANTILE)
        for condition in concepts.CONDITIONS
    ]
    return {**found, "limits": np.array(limits)}


def nearest(fitted: Mapping[str, Array], condition: str, images: Array) -> Array:
    """Distances [N] of images uint8 [N, 28, 28, 3] to the nearest real picture of a condition."""
    wanted = (fitted["reference_digits"] == concepts.to_digits(condition)).all(1)
    real = fitted["references"][wanted].reshape(wanted.sum(), -1).astype(np.float64)
    drawn = images.reshape(len(images), -1).astype(np.float64)
    # In float64 every product and sum of these integers is exact.
    squares = (drawn**2).sum(1)[:, None] + (real**2).sum(1) - 2 * drawn @ real.T
    return np.asarray(np.sqrt(squares.min(1) / drawn.shape[1]))


def relative_distance(fitted: Mapping[str, Array], condition: str, images: Array) -> Array:
    """The same as a share of the condition's limit: a picture is near real ones up to 1."""
    limit = fitted["limits"][concepts.CONDITIONS.index(condition)]
    return nearest(fitted, condition, images) / max(float(limit), np.finfo(np.float64).tiny)
