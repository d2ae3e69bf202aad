"""``concepts``: images of one shaded object on plain ground, in eight conditions.

A condition is three digits: shape (0 circle, 1 triangle), color (0 red, 1 blue), size (0 large,
1 small). ``concepts`` draws its images; each depends only on its split and index. ``clevr:DIR``
reads the lab's images ``CLEVR_{digits}_{n}.png``, each with a ``.json`` file of
``[size, [r, g, b, a], ...]``.

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
from tasks.datasets.conditions import Conditions, to_digits
from tasks.datasets.files import check_photo, find_root, read_photo
from tasks.datasets.layouts import suggest_layout
from tasks.fingerprint import fingerprint_files

Array = np.ndarray[Any, Any]
VERSION = 1  # increase it when an image changes
SIDE = 28  # pixels
SEEN = ("000", "001", "100", "010")
UNSEEN = ("011", "110", "101", "111")
CONDITIONS = (*SEEN, *UNSEEN)
COLORS = ((0.9, 0.1, 0.1), (0.1, 0.1, 0.9))  # red, blue, as requested at test time
SIZES = (2.6, 1.6)  # large, small, in the lab's unit
PIXELS_PER_SIZE = 3.3  # radius in pixels of an object of size 1
SPLITS = {"train": 5000, "probe-train": 4500, "probe-test": 500, "held-out": 4000}
_COLOR_JITTER, _SIZE_JITTER, _POSITION_JITTER = 0.08, 0.15, 1.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Concepts:
    """Images and their attributes."""

    images: Array  # uint8 [N, 28, 28, 3]
    digits: Array  # int64 [N, 3]: shape, color, size
    colors: Array  # float32 [N, 3]: RGB, slightly different in each image
    sizes: Array  # float32 [N]: slightly different in each image

    def __len__(self) -> int:
        return len(self.images)

    @property
    def encoded(self) -> Array:
        """The inputs of the network, float32 [N, 6]."""
        return encode(self.digits, self.colors, self.sizes)

    def of(self, condition: str) -> Array:
        """Return the images of one condition."""
        return np.asarray(self.images[(self.digits == to_digits(condition)).all(1)])


def nominal(condition: str) -> tuple[int, tuple[float, float, float], float]:
    """Return (shape, color, size) of a condition, as requested at test time."""
    shape, color, size = map(int, condition)
    return shape, COLORS[color], SIZES[size]


def describe(condition: str) -> str:
    """Describe a condition in words: ``"small blue triangle"`` for ``"111"``."""
    shape, color, size = map(int, condition)
    words = (("large", "small")[size], ("red", "blue")[color], ("circle", "triangle")[shape])
    return " ".join(words)


def encode(digits: Array, colors: Array, sizes: Array) -> Array:
    """Encode conditions as inputs of the network, float32 [N, 6]: one-hot shape, color, size."""
    shapes = np.eye(2, dtype=np.float32)[digits[:, 0]]
    return np.asarray(np.concatenate([shapes, colors, sizes[:, None]], 1).astype(np.float32))


@lru_cache(maxsize=1)
def conditions() -> Conditions:
    """Return the eight conditions. Their names are their digits, as in the paper."""
    encoded = {}
    for condition in CONDITIONS:
        _, color, size = nominal(condition)
        digits = to_digits(condition)[None]
        values = encode(digits, np.array([color], np.float32), np.array([size], np.float32))
        encoded[condition] = tuple(values[0].tolist())
    return Conditions(
        seen=SEEN,
        unseen=UNSEEN,
        names={condition: condition for condition in CONDITIONS},
        descriptions={condition: describe(condition) for condition in CONDITIONS},
        encoded=encoded,
        sizes=(2, 3, 1),
    )


def resolve(name: str) -> Source:
    """Check that ``concepts`` or ``clevr:DIR`` exists, and compute its fingerprint.

    Raises:
        DataError: if the data set does not exist or lacks a condition.
    """
    if name == "concepts":
        parts = [VERSION, SIDE, SPLITS, COLORS, SIZES, PIXELS_PER_SIZE]
        jitter = [_COLOR_JITTER, _SIZE_JITTER, _POSITION_JITTER]
        return Source(name=name, fingerprint=content_id([parts, jitter]))
    kind, _, folder = name.partition(":")
    if kind != "clevr" or not folder:
        hint = suggest_layout(name, ("clevr", "attributes"))
        raise DataError(f"--data takes concepts, folder:DIR or clevr:DIR, but got {name!r}{hint}")
    root = find_root(folder)
    found = _list_files(root)
    files = [file for entries in found.values() for pair in entries for file in pair]
    return Source(name=f"clevr:{root}", fingerprint=fingerprint_files(root, files, _check))


def _check(file: Path) -> None:
    if file.suffix == ".png":
        check_photo(file)
    else:
        _read_attributes(file)


def load_split(data: Source, split: str) -> Concepts:
    """Return the images of a split.

    ``train`` has only the seen conditions; the other splits have all eight. No image is in two
    splits.
    """
    if split not in SPLITS:
        raise DataError(f"concepts has the splits {', '.join(SPLITS)}, but got {split!r}")
    return _draw_split(split) if data.name == "concepts" else _read_split(data, split)


# --- drawing --------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _draw_split(split: str) -> Concepts:
    conditions = SEEN if split == "train" else CONDITIONS
    number = SPLITS[split]
    rng = np.random.default_rng([VERSION, *split.encode()])
    digits = np.stack([to_digits(condition) for condition in conditions])
    digits = digits[np.arange(number) % len(conditions)]
    colors = np.array(COLORS)[digits[:, 1]] + rng.uniform(-1, 1, (number, 3)) * _COLOR_JITTER
    sizes = np.array(SIZES)[digits[:, 2]] + rng.uniform(-1, 1, number) * _SIZE_JITTER
    centers = (SIDE - 1) / 2 + rng.uniform(-1, 1, (number, 2)) * _POSITION_JITTER
    ground = rng.uniform(0.45, 0.6, number)
    images = draw(digits[:, 0], np.clip(colors, 0, 1), sizes, centers, ground)
    return Concepts(
        images=images,
        digits=digits,
        colors=np.clip(colors, 0, 1).astype(np.float32),
        sizes=sizes.astype(np.float32),
    )


def draw(shapes: Array, colors: Array, sizes: Array, centers: Array, ground: Array) -> Array:
    """Draw images uint8 [N, 28, 28, 3] of objects with shadows, lit from the upper left.

    Args:
        shapes: 0 circle, 1 triangle, [N].
        colors: RGB in 0..1, [N, 3].
        sizes: in the unit of ``SIZES``, [N].
        centers: (x, y) in pixels, [N, 2].
        ground: brightness of the ground in 0..1, [N].
    """
    radius = (sizes * PIXELS_PER_SIZE)[:, None, None]
    y, x = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    dx = x[None] - centers[:, 0, None, None]
    dy = y[None] - centers[:, 1, None, None]
    round_ = shapes[:, None, None] == 0

    def inside(dx: Array, dy: Array) -> Array:
        distance = np.where(round_, _circle(dx, dy, radius), _triangle(dx, dy, radius))
        return np.asarray(np.clip(0.5 - distance, 0, 1))  # anti-aliased over one pixel

    slope = 1 + 0.1 * (SIDE / 2 - y[None]) / SIDE
    shadow = 1 - 0.35 * inside(dx - 1.5, dy - 1.5)
    base = (ground[:, None, None] * slope * shadow)[..., None].repeat(3, axis=3)
    light = np.clip(1 - 0.35 * (dx + dy) / (2 * radius), 0.5, 1.4)[..., None]
    mask = inside(dx, dy)[..., None]
    picture = base * (1 - mask) + np.clip(colors[:, None, None] * light, 0, 1) * mask
    return np.asarray(np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8))


def _circle(dx: Array, dy: Array, radius: Array) -> Array:
    """Return the signed distance to a circle, negative inside."""
    return np.asarray(np.hypot(dx, dy) - radius)


def _triangle(dx: Array, dy: Array, radius: Array) -> Array:
    """Return the signed distance to an upright triangle, whose corners exceed ``radius`` a bit."""
    inner = 0.58 * radius
    edges = [(0.0, 1.0), (0.866, -0.5), (-0.866, -0.5)]
    sides = [nx * dx + ny * (dy - 0.12 * radius) for nx, ny in edges]
    return np.asarray(np.maximum.reduce(sides) - inner)


# --- the lab's files ------------------------------------------------------------------------------

_SPLIT_BY_INDEX = (*["train"] * 5, *["probe-train"] * 3, "held-out", "probe-test")
_NAME = re.compile(r"CLEVR_([01]{3})_(\d+)\.png")


def _list_files(root: Path) -> dict[str, list[tuple[Path, Path]]]:
    """Return the (image, JSON file) pairs of each condition, ordered by number."""
    found: dict[str, list[tuple[int, Path]]] = {}
    for file in root.rglob("CLEVR_*.png"):
        match = _NAME.fullmatch(file.name)
        if match:
            found.setdefault(match[1], []).append((int(match[2]), file))
    missing = [condition for condition in CONDITIONS if condition not in found]
    if missing:
        raise DataError(f"{root} has no CLEVR_{missing[0]}_N.png; add all eight conditions")
    pairs = {}
    for condition, entries in found.items():
        pairs[condition] = [(file, file.with_suffix(".json")) for _, file in sorted(entries)]
        for _, attributes in pairs[condition]:
            if not attributes.is_file():
                raise DataError(
                    f"{attributes} is missing; add this file with the image's size and color"
                )
    return pairs


@lru_cache(maxsize=4)  # by the fingerprint too, as files can change while the process runs
def _read_split(data: Source, split: str) -> Concepts:
    """Read a split. Of ten images of a condition, 5, 3, 1 and 1 belong to the four splits."""
    root = Path(data.name.partition(":")[2])
    images, digits, colors, sizes = [], [], [], []
    for condition, entries in _list_files(root).items():
        if split == "train" and condition not in SEEN:
            continue
        entries = [e for i, e in enumerate(entries) if _SPLIT_BY_INDEX[i % 10] == split]
        for file, attributes in entries[: SPLITS[split] // (4 if split == "train" else 8)]:
            size, color = _read_attributes(attributes)
            picture = read_photo(file).resize((SIDE, SIDE), Image.Resampling.BOX)
            images.append(np.asarray(picture))
            digits.append([int(d) for d in condition])
            colors.append(color)
            sizes.append(size)
    if not images:
        raise DataError(
            f"{root} has too few images for the split {split}; add at least ten per condition"
        )
    return Concepts(
        images=np.stack(images),
        digits=np.array(digits),
        colors=np.array(colors, dtype=np.float32),
        sizes=np.array(sizes, dtype=np.float32),
    )


def _read_attributes(file: Path) -> tuple[float, list[float]]:
    try:
        entry = json.loads(file.read_text())
        size, color = float(entry[0]), [float(part) for part in entry[1][:3]]
        if len(color) != 3 or not np.isfinite([size, *color]).all():
            raise ValueError("size, r, g and b must be finite numbers")
        return size, color
    except (ValueError, TypeError, IndexError, KeyError, OSError, RecursionError) as error:
        raise DataError(f"{file} must be [size, [r, g, b, a], ...]: {error}; fix it") from None
