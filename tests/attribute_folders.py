"""Small folders of images with attributes, for ``--data folder:DIR`` of diffusion."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tasks.datasets import concepts

SHAPES = ("circle", "triangle")
COLORS = {"blue": (0.1, 0.1, 0.9), "dark green": (0.1, 0.5, 0.1), "red": (0.9, 0.1, 0.1)}


def draw_objects(shape: str, color: str, number: int) -> Any:
    """Images uint8 [N, 28, 28, 3] of objects, placed and lit as in ``concepts``."""
    rng = np.random.default_rng([SHAPES.index(shape), len(color)])
    return concepts.draw(
        np.full(number, SHAPES.index(shape)),
        np.tile(COLORS[color], (number, 1)),
        rng.uniform(2.4, 2.7, number),
        (concepts.SIDE - 1) / 2 + rng.uniform(-1.5, 1.5, (number, 2)),
        rng.uniform(0.45, 0.6, number),
    )


def write_metadata(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``metadata.csv``; the columns are the keys of the first row."""
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def draw_attribute_folder(folder: Path, number: int = 30) -> Path:
    """Two shapes in three colors, ``number`` images of each, without splits."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for shape, color in itertools.product(SHAPES, COLORS):
        for index, picture in enumerate(draw_objects(shape, color, number)):
            name = f"{shape} {color} {index}.png"
            Image.fromarray(picture).save(folder / name)
            rows.append({"file_name": name, "shape": shape, "color": color})
    write_metadata(folder, rows)
    return folder
