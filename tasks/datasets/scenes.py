"""``scenes``: drawn pictures of two coloured objects in relation, five captions each.

Everything follows from (style, split, index). Two styles: ``pretrain``, which the shipped model was
trained on, and ``sweep``, which a sweep finetunes on: darker textured grounds, stronger jitter of
colour, and fewer of the words. In val and test no caption stands under two images.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tasks.contract import DataError, content_id
from tasks.datasets.base import Split

VERSION = 2  # raise it when a picture or a caption would change
SIZE = 64  # pixels a side
SPLITS = {"train": 1464, "val": 1449, "test": 1449}  # the report's numbers of pairs
PRETRAIN_SPLITS = {"train": 8000, "val": 500, "test": 500}
_SCALE = 2  # supersampling

COLOURS = {
    "red": (205, 45, 45),
    "orange": (235, 140, 30),
    "yellow": (235, 215, 60),
    "green": (50, 160, 70),
    "blue": (50, 85, 205),
    "purple": (140, 65, 175),
    "white": (240, 240, 240),
    "black": (30, 30, 34),
}
SHAPES = ("circle", "square", "triangle", "star", "diamond", "cross")
GROUNDS: Mapping[str, Mapping[str, tuple[int, int, int]]] = {
    "pretrain": {
        "grey": (165, 168, 172),
        "pink": (225, 180, 190),
        "brown": (165, 130, 100),
        "teal": (120, 175, 178),
    },
    "sweep": {"grey": (105, 108, 115), "teal": (70, 125, 128), "brown": (115, 85, 62)},
}
RELATIONS = ("left", "above")  # of the first object to the second
INVERSE = {"left": "right", "above": "below"}
PHRASES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "pretrain": {
        "left": ("left of", "to the left of", "on the left side of"),
        "right": ("right of", "to the right of", "on the right side of"),
        "above": ("above", "over", "higher than"),
        "below": ("below", "under", "lower than"),
    },
    "sweep": {
        "left": ("left of", "on the left side of"),
        "right": ("right of", "on the right side of"),
        "above": ("above", "higher than"),
        "below": ("below", "lower than"),
    },
}
_PLAIN = {shape: (shape,) for shape in SHAPES}
NOUNS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "pretrain": _PLAIN | {"circle": ("circle", "disc", "ball"), "square": ("square", "box")},
    "sweep": _PLAIN | {"circle": ("circle", "ball"), "square": ("square", "box")},
}
SIZES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "pretrain": {"large": ("large", "big", "huge"), "small": ("small", "tiny")},
    "sweep": {"large": ("large", "huge"), "small": ("small", "tiny")},
}


@dataclass(frozen=True, slots=True)
class Thing:
    """One object of a scene."""

    colour: str
    shape: str
    size: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What a picture shows: ``first`` stands left of, or above, ``second``."""

    first: Thing
    second: Thing
    relation: str
    ground: str


def fingerprint() -> str:
    """The content id of the generator and its parameters."""
    return content_id(
        [VERSION, SIZE, SPLITS, PRETRAIN_SPLITS, COLOURS, SHAPES, GROUNDS, PHRASES, NOUNS, SIZES]
    )


def load_split(split: str, style: str = "sweep") -> Split:
    """The scenes of a split.

    Raises:
        DataError: if there is no such split or style.
    """
    sizes = {"sweep": SPLITS, "pretrain": PRETRAIN_SPLITS}.get(style)
    if sizes is None:
        raise DataError(f"scenes have the styles sweep and pretrain, but got {style!r}")
    if split not in sizes:
        raise DataError(f"scenes have the splits {', '.join(sizes)}, but got {split!r}")
    drawn = _scenes(style, split, sizes[split])

    def load(index: int) -> Image.Image:
        candidate, scene, _ = drawn[index]
        return draw(scene, style, _generator(style, split, candidate, "pixels"))

    return Split(
        image_ids=tuple(f"{split}-{candidate:06}" for candidate, _, _ in drawn),
        captions=tuple(captions for _, _, captions in drawn),
        load=load,
    )


def describe(index: int, split: str, style: str = "sweep") -> Scene:
    """What the picture at ``index`` of a split shows."""
    sizes = {"sweep": SPLITS, "pretrain": PRETRAIN_SPLITS}[style]
    return _scenes(style, split, sizes[split])[index][1]


def _generator(style: str, split: str, index: int, use: str) -> np.random.Generator:
    words = (zlib.crc32(text.encode()) for text in (style, split, use))
    return np.random.default_rng([VERSION, index, *words])


@lru_cache(maxsize=8)
def _scenes(style: str, split: str, number: int) -> list[tuple[int, Scene, tuple[str, ...]]]:
    return [item for item, _ in zip(_stream(style, split), range(number), strict=False)]


def _stream(style: str, split: str) -> Iterator[tuple[int, Scene, tuple[str, ...]]]:
    """Scenes in order; outside train, one that would repeat a caption is passed over."""
    told: set[str] = set()
    seen: set[Scene] = set()
    candidate = -1
    while True:
        candidate += 1
        rng = _generator(style, split, candidate, "scene")
        scene = _sample(rng, style)
        captions = caption(scene, style, rng)
        if split != "train":
            if scene in seen or not told.isdisjoint(captions):
                continue
            told.update(captions)
            seen.add(scene)
        yield candidate, scene, captions


def _sample(rng: np.random.Generator, style: str) -> Scene:
    colours, sizes = list(COLOURS), list(SIZES[style])
    while True:
        things = [
            Thing(
                colours[rng.integers(len(colours))],
                SHAPES[rng.integers(len(SHAPES))],
                sizes[rng.integers(len(sizes))],
            )
            for _ in range(2)
        ]
        if (things[0].colour, things[0].shape) != (things[1].colour, things[1].shape):
            break
    grounds = list(GROUNDS[style])
    return Scene(
        things[0], things[1], RELATIONS[rng.integers(2)], grounds[rng.integers(len(grounds))]
    )


def caption(scene: Scene, style: str, rng: np.random.Generator) -> tuple[str, ...]:
    """Five different captions: either side first, words and adjectives varied."""

    def pick(options: tuple[str, ...]) -> str:
        return options[rng.integers(len(options))]

    def name(thing: Thing, size: bool, colour: bool = True) -> str:
        words = [pick(SIZES[style][thing.size])] if size else []
        words += [thing.colour] if colour else []
        words.append(pick(NOUNS[style][thing.shape]))
        article = "an" if words[0][0] in "aeiou" else "a"
        return " ".join([article, *words])

    def related(forward: bool, verb: str, sizes: tuple[bool, bool], hidden: int = -1) -> str:
        one, two = (scene.first, scene.second) if forward else (scene.second, scene.first)
        relation = scene.relation if forward else INVERSE[scene.relation]
        left, right = name(one, sizes[0], hidden != 0), name(two, sizes[1], hidden != 1)
        return f"{left}{verb} {pick(PHRASES[style][relation])} {right}"

    kinds = [
        lambda: related(True, "", (True, True)),
        lambda: related(False, "", (True, True)),
        lambda: related(bool(rng.integers(2)), " is", (False, False)),
        lambda: (
            related(bool(rng.integers(2)), "", (False, False))
            + f" on a {scene.ground} {pick(('background', 'ground'))}"
        ),
        lambda: (
            related(bool(rng.integers(2)), "", (True, True), int(rng.integers(2)))
            + f" on {scene.ground}"
        ),
    ]
    return tuple(kinds[i]() for i in rng.permutation(len(kinds)))


# --- drawing --------------------------------------------------------------------------------------


def draw(scene: Scene, style: str, rng: np.random.Generator) -> Image.Image:
    """The picture, ``SIZE`` x ``SIZE`` RGB: shaded objects with shadows on a textured ground."""
    side = SIZE * _SCALE
    pixels = _ground(GROUNDS[style][scene.ground], style, side, rng)
    jitter = 10 if style == "pretrain" else 24
    for thing, centre in zip((scene.first, scene.second), _places(scene, rng), strict=True):
        low, high = (11.5, 13.5) if thing.size == "large" else (6.5, 8.0)
        radius = rng.uniform(low, high) * _SCALE
        mask = _mask(thing.shape, centre, radius, rng, side)
        shadow = np.roll(mask, (2 * _SCALE, 2 * _SCALE), (0, 1))[..., None] * 0.35
        pixels *= 1 - shadow
        colour = np.clip(np.array(COLOURS[thing.colour]) + rng.uniform(-jitter, jitter, 3), 0, 255)
        x, y = np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32)[:, None]
        light = 1.0 - 0.22 * ((x - centre[0]) + (y - centre[1])) / (2 * radius)
        shaded = np.clip(colour.astype(np.float32) * light[..., None], 0, 255)
        pixels += mask[..., None] * (shaded - pixels)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return image.resize((SIZE, SIZE), Image.Resampling.BOX)


def _places(scene: Scene, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Centres of both objects, in supersampled pixels; never so near that they touch."""
    near, far = rng.uniform(14, 17), rng.uniform(47, 50)
    across = rng.uniform(18, 46, 2)
    points = [(near, across[0]), (far, across[1])]
    if scene.relation == "above":
        points = [(y, x) for x, y in points]
    return [(x * _SCALE, y * _SCALE) for x, y in points]


def _ground(
    colour: tuple[int, int, int], style: str, side: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    slope = np.linspace(-1, 1, side)[:, None] * rng.uniform(-18, 18)
    slope = slope + np.linspace(-1, 1, side)[None, :] * rng.uniform(-18, 18)
    cells = 8 if style == "pretrain" else 16
    strength = 5 if style == "pretrain" else 14
    grain = rng.normal(0, strength, (cells, cells))
    texture = np.kron(grain, np.ones((side // cells, side // cells)))
    return (np.array(colour) + (slope + texture)[..., None]).astype(np.float32)


def _mask(
    shape: str, centre: tuple[float, float], radius: float, rng: np.random.Generator, side: int
) -> NDArray[np.float32]:
    canvas = Image.new("L", (side, side))
    pen = ImageDraw.Draw(canvas)
    x, y = centre
    turn = rng.uniform(-0.15, 0.15)
    if shape == "circle":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    else:
        points = [
            (x + radius * r * np.cos(a + turn), y + radius * r * np.sin(a + turn))
            for r, a in _outline(shape)
        ]
        pen.polygon(points, fill=255)
    return np.asarray(canvas, dtype=np.float32) / np.float32(255)


def _outline(shape: str) -> list[tuple[float, float]]:
    """Corners as (radius, angle) of a shape of radius 1; angle 0 points right, -pi/2 up."""
    up = -np.pi / 2
    if shape == "square":
        return [(1.15, np.pi / 4 + k * np.pi / 2) for k in range(4)]
    if shape == "triangle":
        return [(1.2, up + k * 2 * np.pi / 3) for k in range(3)]
    if shape == "diamond":
        return [(1.25 if k % 2 == 0 else 0.75, up + k * np.pi / 2) for k in range(4)]
    if shape == "star":
        return [(1.25 if k % 2 == 0 else 0.5, up + k * np.pi / 5) for k in range(10)]
    corners = ((1.1, -0.36), (1.1, 0.36), (0.36, 0.36))  # one arm, and the notch after it
    arm = [(float(np.hypot(x, y)), float(np.arctan2(y, x))) for x, y in corners]
    return [(r, a + k * np.pi / 2) for k in range(4) for r, a in arm]
