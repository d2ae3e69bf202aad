"""The content of scenes: two groups of equal objects, side by side or one above the other."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TypeVar

import numpy as np

T = TypeVar("T")

COLORS: Mapping[str, tuple[int, int, int]] = {
    "red": (205, 45, 45),
    "orange": (235, 140, 30),
    "yellow": (235, 215, 60),
    "green": (50, 160, 70),
    "blue": (50, 85, 205),
    "purple": (140, 65, 175),
    "white": (240, 240, 240),
    "black": (30, 30, 34),
}
SHAPES = (
    "circle",
    "square",
    "triangle",
    "star",
    "diamond",
    "cross",
    "ring",
    "crescent",
    "heart",
    "arrow",
)
SIZES = ("large", "small")
COUNTS, COUNT_SHARES = (1, 2, 3), (0.7, 0.2, 0.1)
RELATIONS = ("left", "above")  # where the first group is, relative to the second
INVERSE = {"left": "right", "above": "below"}
#: Ground colors by style. Pretraining images scale and shift them; see ``drawing.py``.
GROUNDS: Mapping[str, Mapping[str, tuple[int, int, int]]] = {
    "pretrain": {
        "grey": (165, 168, 172),
        "pink": (225, 180, 190),
        "brown": (165, 130, 100),
        "teal": (120, 175, 178),
    },
    "sweep": {"grey": (105, 108, 115), "teal": (70, 125, 128), "brown": (115, 85, 62)},
}


@dataclass(frozen=True, slots=True)
class Group:
    """One, two or three equal objects next to each other."""

    color: str
    shape: str
    size: str
    count: int


@dataclass(frozen=True, slots=True)
class Scene:
    """The content of an image: ``first`` is left of ``second``, or above it."""

    first: Group
    second: Group
    relation: str
    ground: str


def sample_scene(rng: np.random.Generator, style: str) -> Scene:
    """Sample a scene whose two groups differ in color or shape."""
    while True:
        first, second = _sample_group(rng), _sample_group(rng)
        if (first.color, first.shape) != (second.color, second.shape):
            break
    return Scene(first, second, pick(RELATIONS, rng), pick(tuple(GROUNDS[style]), rng))


def _sample_group(rng: np.random.Generator) -> Group:
    return Group(
        color=pick(tuple(COLORS), rng),
        shape=pick(SHAPES, rng),
        size=pick(SIZES, rng),
        count=weighted(COUNTS, COUNT_SHARES, rng),
    )


def pick(options: Sequence[T], rng: np.random.Generator) -> T:
    """Choose one of the options uniformly."""
    return options[int(rng.random() * len(options))]


def weighted(options: Sequence[T], shares: tuple[float, ...], rng: np.random.Generator) -> T:
    """Choose one of the options with the given probabilities."""
    return options[bisect(_cumulative(shares), rng.random())]


@lru_cache(maxsize=64)
def _cumulative(shares: tuple[float, ...]) -> list[float]:
    return list(accumulate(shares))[:-1]
