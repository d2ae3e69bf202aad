"""Check whether an image is close to a real image of its condition.

A linear probe classifies any image, even an empty one. Therefore an image must also be as close to
a real image of its condition as 99 % of held-out real images are. The distance is the root mean
square difference, in gray levels, of means over 4 x 4 pixels, after subtracting the mean color of
the image's border. So the ground's color, which a condition leaves open, and faint noise do not
count; the KID measures those.

N images, R reference images, A attributes, C conditions, F = 147 features
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.datasets.conditions import AttributeImages, to_code, to_digits
from tasks.interrupt import check_interrupt

Array = np.ndarray[Any, Any]
QUANTILE = 0.99  # of the distances of held-out real images
CELL = 4  # side of the squares that are averaged, in pixels
BORDER = 2  # width of the ground around every object, in pixels
MIN_ACCURACY = 0.95  # on real held-out images; below, there are too few references


def fit(references: AttributeImages, held_out: AttributeImages) -> Mapping[str, Array]:
    """Return ``references`` uint8 [R, 28, 28, 3] and ``limits`` [C].

    ``limits`` are the largest distances that count as close. The digits of references and limits
    are ``reference_digits`` [R, A] and ``limit_digits`` [C, A]. The reference images do not train
    the generator, and held-out images are not references.
    """
    found = {"references": references.images, "reference_digits": references.digits}
    limits = []
    conditions = np.unique(references.digits, axis=0)
    for condition in map(to_code, conditions.tolist()):
        check_interrupt()
        distances = nearest(found, condition, held_out.of(condition))
        limits.append(np.quantile(distances, QUANTILE))
    return {**found, "limits": np.array(limits), "limit_digits": conditions}


def features(images: Array) -> Array:
    """Return features [N, F] of images uint8 [N, 28, 28, 3], for distances."""
    pixels = images.astype(np.float64)
    side = pixels.shape[1]
    is_border = np.ones((side, side), bool)
    is_border[BORDER:-BORDER, BORDER:-BORDER] = False
    pixels = pixels - pixels[:, is_border].mean(1)[:, None, None, :]
    cells = side // CELL
    means = pixels.reshape(len(pixels), cells, CELL, cells, CELL, 3).mean((2, 4))
    return np.asarray(means.reshape(len(pixels), -1))


def nearest(fitted: Mapping[str, Array], condition: str, images: Array) -> Array:
    """Return distances [N] of images uint8 [N, 28, 28, 3] to a condition's nearest real image."""
    wanted = (fitted["reference_digits"] == to_digits(condition)).all(1)
    real, drawn = features(fitted["references"][wanted]), features(images)
    # One image at a time: the last digits of a matrix product would depend on the other images.
    return np.array([np.sqrt(((real - one) ** 2).mean(1).min()) for one in drawn])


def relative_distance(fitted: Mapping[str, Array], condition: str, images: Array) -> Array:
    """Return the distances of ``nearest`` divided by the condition's limit."""
    (limit,) = fitted["limits"][(fitted["limit_digits"] == to_digits(condition)).all(1)]
    return nearest(fitted, condition, images) / max(float(limit), np.finfo(np.float64).tiny)
