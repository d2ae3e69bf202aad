"""Whether a picture is near real pictures of its condition: the distance to the nearest one.

A linear probe gives an answer for any picture, an empty one included. So a picture also has to be
as near to some real picture of its condition as 99 % of real pictures are that were held out. The
distance is the root mean square, in gray levels, over means of 4 x 4 pixels from which the mean
color of the picture's border is taken. A condition is a shape, a color and a size: it says nothing
about the ground's color, and faint noise hides no object. Both are the KID's to measure.

N pictures, R reference pictures, C = 8 conditions, F = 147 features
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.datasets import concepts
from tasks.interrupt import check_interrupt

Array = np.ndarray[Any, Any]
QUANTILE = 0.99  # of the distances of held-out real pictures
CELL = 4  # pixels a side that are averaged
BORDER = 2  # pixels of ground around the objects
MIN_ACCURACY = 0.95  # of real pictures; if fewer are right, the references are too few


def fit(references: concepts.Concepts, held_out: concepts.Concepts) -> Mapping[str, Array]:
    """``references`` uint8 [R, 28, 28, 3], their ``reference_digits`` [R, 3], ``limits`` [C].

    No reference picture trains the generator, and no held-out picture is a reference. ``limits``
    are the largest distances that count as near, in the order of the conditions.
    """
    found = {"references": references.images, "reference_digits": references.digits}
    limits = []
    for condition in concepts.CONDITIONS:
        check_interrupt()
        distances = nearest(found, condition, held_out.of(condition))
        limits.append(np.quantile(distances, QUANTILE))
    return {**found, "limits": np.array(limits)}


def features(images: Array) -> Array:
    """What distances are taken between: [N, F] of images uint8 [N, 28, 28, 3]."""
    pixels = images.astype(np.float64)
    side = pixels.shape[1]
    is_border = np.ones((side, side), bool)
    is_border[BORDER:-BORDER, BORDER:-BORDER] = False
    pixels = pixels - pixels[:, is_border].mean(1)[:, None, None, :]
    cells = side // CELL
    means = pixels.reshape(len(pixels), cells, CELL, cells, CELL, 3).mean((2, 4))
    return np.asarray(means.reshape(len(pixels), -1))


def nearest(fitted: Mapping[str, Array], condition: str, images: Array) -> Array:
    """Distances [N] of images uint8 [N, 28, 28, 3] to the nearest real picture of a condition."""
    wanted = (fitted["reference_digits"] == concepts.to_digits(condition)).all(1)
    real, drawn = features(fitted["references"][wanted]), features(images)
    # Summed picture by picture: a matrix product's last digits would depend on the company.
    return np.array([np.sqrt(((real - one) ** 2).mean(1).min()) for one in drawn])


def relative_distance(fitted: Mapping[str, Array], condition: str, images: Array) -> Array:
    """The same as a share of the condition's limit: a picture is near real ones up to 1."""
    limit = fitted["limits"][concepts.CONDITIONS.index(condition)]
    return nearest(fitted, condition, images) / max(float(limit), np.finfo(np.float64).tiny)
