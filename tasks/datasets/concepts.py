"""``concepts``: one shaded object on plain ground in eight conditions, and the files it stands for.

A condition is three digits: shape (0 circle, 1 triangle), colour (0 red, 1 blue), size (0 large,
1 small). The built-in images are drawn from (split, index) alone; ``clevr:DIR`` reads the lab's
``CLEVR_{digits}_{n}.png`` beside a ``.json`` of ``[size, [r, g, b, a], ...]``.

N images
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tasks.contract import DataError, Source, content_id
from tasks.datasets.files import check_photo, find_root, read_photo
from tasks.datasets.layouts import suggest_layout
from tasks.fingerprint import fingerprint_files

Array = np.ndarray[Any, Any]
VERSION = 1  # raise it when a picture would change
SIDE = 28  # pixels
SEEN = ("000", "001", "100", "010")
UNSEEN = ("011", "110", "101", "111")
CONDITIONS = (*SEEN, *UNSEEN)
COLOURS = ((0.9, 0.1, 0.1), (0.1, 0.1, 0.9))  # red, blue: what is asked for at test time
SIZES = (2.6, 1.6)  # large, small, in the lab's own unit
PIXELS_A_SIZE = 3.3  # radius in pixels of an object of size 1
SPLITS = {"train": 5000, "probe-train": 4500, "probe-test": 500, "held-out": 4000}
_COLOUR_JITTER, _SIZE_JITTER, _PLACE_JITTER = 0.08, 0.15, 1.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Concepts:
    """Images with what they show."""

    images: Array  # uint8 [N, 28, 28, 3]
    digits: Array  # int64 [N, 3]: shape, colour, size
    colours: Array  # float32 [N, 3]: each image's own
    sizes: Array  # float32 [N]: each image's own

    def __len__(self) -> int:
        return len(self.images)

    def of(self, condition: str) -> Array:
        """The images of one condition."""
        return np.asarray(self.images[(self.digits == to_digits(condition)).all(1)])


def to_digits(condition: str) -> Array:
    """``"011"`` as [0, 1, 1]."""
    return np.array([int(digit) for digit in condition])


def nominal(condition: str) -> tuple[int, tuple[float, float, float], float]:
    """(shape, colour, size) as a condition asks for them at test time."""
    shape, colour, size = map(int, condition)
    return shape, COLOURS[colour], SIZES[size]


def describe(condition: str) -> str:
    """``"111"`` as ``small blue triangle``."""
    shape, color, size = map(int, condition)
    words = (("large", "small")[size], ("red", "blue")[color], ("circle", "triangle")[shape])
    return " ".join(words)


def resolve(name: str) -> Source:
    """Check ``concepts`` or ``clevr:DIR``, and take its fingerprint.

    Raises:
        DataError: if there is none of that name, or it lacks a condition.
    """
    if name == "concepts":
        parts = [VERSION, SIDE, SPLITS, COLOURS, SIZES, PIXELS_A_SIZE]
        jitter = [_COLOUR_JITTER, _SIZE_JITTER, _PLACE_JITTER]
        return Source(name=name, fingerprint=content_id([parts, jitter]))
    kind, _, folder = name.partition(":")
    if kind != "clevr" or not folder:
        hint = suggest_layout(name, ("clevr",))
        raise DataError(f"--data takes concepts or clevr:DIR, but got {name!r}{hint}")
    root = find_root(folder)
    found = _list_files(root)
    files = [file for entries in found.values() for pair in entries for file in pair]
    return Source(name=f"clevr:{root}", fingerprint=fingerprint_files(root, files, _check))


def _check(file: Path) -> None:
    if file.suffix == ".png":
        check_photo(file)
    else:
        _read_told(file)


@lru_cache(maxsize=4)
def load_split(name: str, split: str) -> Concepts:
    """The images of a split: ``train`` holds the seen conditions, the other splits all eight.

    No image is in two splits.
    """
    if split not in SPLITS:
        raise DataError(f"concepts have the splits {', '.join(SPLITS)}, but got {split!r}")
    if name == "concepts":
        return _draw_split(split)
    return _read_split(Path(name.partition(":")[2]), split)


# --- drawing --------------------------------------------------------------------------------------


def _draw_split(split: str) -> Concepts:
    conditions = SEEN if split == "train" else CONDITIONS
    number = SPLITS[split]
    rng = np.random.default_rng([VERSION, *split.encode()])
    told = np.array([[int(d) for d in condition] for condition in conditions])
    digits = told[np.arange(number) % len(conditions)]
    colours = np.array(COLOURS)[digits[:, 1]] + rng.uniform(-1, 1, (number, 3)) * _COLOUR_JITTER
    sizes = np.array(SIZES)[digits[:, 2]] + rng.uniform(-1, 1, number) * _SIZE_JITTER
    centres = (SIDE - 1) / 2 + rng.uniform(-1, 1, (number, 2)) * _PLACE_JITTER
    ground = rng.uniform(0.45, 0.6, number)
    images = draw(digits[:, 0], np.clip(colours, 0, 1), sizes, centres, ground)
    return Concepts(
        images=images,
        digits=digits,
        colours=np.clip(colours, 0, 1).astype(np.float32),
        sizes=sizes.astype(np.float32),
    )


def draw(shapes: Array, colours: Array, sizes: Array, centres: Array, ground: Array) -> Array:
    """Images uint8 [N, 28, 28, 3] of shapes [N], colours [N, 3], sizes [N], centres [N, 2] (x, y).

    Edges are anti-aliased over one pixel; light falls from the upper left, and the ground is
    darker where the object's shadow lies.
    """
    radius = (sizes * PIXELS_A_SIZE)[:, None, None]
    y, x = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    dx = x[None] - centres[:, 0, None, None]
    dy = y[None] - centres[:, 1, None, None]
    round_ = shapes[:, None, None] == 0

    def inside(dx: Array, dy: Array) -> Array:
        distance = np.where(round_, _circle(dx, dy, radius), _triangle(dx, dy, radius))
        return np.asarray(np.clip(0.5 - distance, 0, 1))

    slope = 1 + 0.1 * (SIDE / 2 - y[None]) / SIDE
    shadow = 1 - 0.35 * inside(dx - 1.5, dy - 1.5)
    base = (ground[:, None, None] * slope * shadow)[..., None].repeat(3, axis=3)
    light = np.clip(1 - 0.35 * (dx + dy) / (2 * radius), 0.5, 1.4)[..., None]
    mask = inside(dx, dy)[..., None]
    picture = base * (1 - mask) + np.clip(colours[:, None, None] * light, 0, 1) * mask
    return np.asarray(np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8))


def _circle(dx: Array, dy: Array, radius: Array) -> Array:
    """Signed distance to a circle, negative inside."""
    return np.asarray(np.hypot(dx, dy) - radius)


def _triangle(dx: Array, dy: Array, radius: Array) -> Array:
    """Signed distance to the edges of an upright triangle, its corners a little outside radius."""
    inner = 0.58 * radius
    edges = [(0.0, 1.0), (0.866, -0.5), (-0.866, -0.5)]
    sides = [nx * dx + ny * (dy - 0.12 * radius) for nx, ny in edges]
    return np.asarray(np.maximum.reduce(sides) - inner)


# --- the lab's files ------------------------------------------------------------------------------

_SPLIT_OF_TEN = (*["train"] * 5, *["probe-train"] * 3, "held-out", "probe-test")
_NAME = re.compile(r"CLEVR_([01]{3})_(\d+)\.png")


def _list_files(root: Path) -> dict[str, list[tuple[Path, Path]]]:
    """(image, json) of each condition, in order of their numbers."""
    found: dict[str, list[tuple[int, Path]]] = {}
    for file in root.rglob("CLEVR_*.png"):
        match = _NAME.fullmatch(file.name)
        if match:
            found.setdefault(match[1], []).append((int(match[2]), file))
    missing = [condition for condition in CONDITIONS if condition not in found]
    if missing:
        raise DataError(f"{root} has no CLEVR_{missing[0]}_N.png; all eight conditions are needed")
    pairs = {}
    for condition, entries in found.items():
        pairs[condition] = [(file, file.with_suffix(".json")) for _, file in sorted(entries)]
        for _, told in pairs[condition]:
            if not told.is_file():
                raise DataError(f"{told} is missing; each image has its size and colour beside it")
    return pairs


def _read_split(root: Path, split: str) -> Concepts:
    """Of every ten images of a condition five are ``train``, then three, one and one."""
    images, digits, colours, sizes = [], [], [], []
    for condition, entries in _list_files(root).items():
        if split == "train" and condition not in SEEN:
            continue
        entries = [e for i, e in enumerate(entries) if _SPLIT_OF_TEN[i % 10] == split]
        for file, told in entries[: SPLITS[split] // (4 if split == "train" else 8)]:
            size, colour = _read_told(told)
            picture = read_photo(file).resize((SIDE, SIDE), Image.Resampling.BOX)
            images.append(np.asarray(picture))
            digits.append([int(d) for d in condition])
            colours.append(colour)
            sizes.append(size)
    if not images:
        raise DataError(f"{root} has too few images for the split {split}: ten a condition")
    return Concepts(
        images=np.stack(images),
        digits=np.array(digits),
        colours=np.array(colours, dtype=np.float32),
        sizes=np.array(sizes, dtype=np.float32),
    )


def _read_told(file: Path) -> tuple[float, list[float]]:
    try:
        told = json.loads(file.read_text())
        size, colour = float(told[0]), [float(part) for part in told[1][:3]]
        if len(colour) != 3 or not np.isfinite([size, *colour]).all():
            raise ValueError("a size and three colours, all finite")
        return size, colour
    except (ValueError, TypeError, IndexError, KeyError, OSError, RecursionError) as error:
        raise DataError(f"{file} must be [size, [r, g, b, a], ...]: {error}; mend it") from None
