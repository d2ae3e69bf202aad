"""``scenes``: drawn images of two groups of colored objects, with five captions each.

An image and its captions depend only on (style, split, index). Sweeps finetune on the style
``sweep``, with one look and captions as people write them. The shipped model was pretrained on the
style ``pretrain``, which covers many looks, this one among them, and has captions like web text.
The two styles use different random streams, so pretraining saw no image of a sweep's splits. In val
and test, no caption describes two images.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.contract import DataError, content_id
from tasks.datasets.base import Split
from tasks.datasets.scenes import drawing, language, words, world
from tasks.datasets.scenes.drawing import SIZE, Pixels
from tasks.datasets.scenes.world import Group, Scene

__all__ = [
    "SIZE",
    "Group",
    "Scene",
    "describe",
    "draw_with_masks",
    "fingerprint",
    "load_split",
    "pretraining_scene",
    "splits",
]

VERSION = 3  # increase it when an image or a caption changes
SPLITS = {"train": 1464, "val": 1449, "test": 1449}  # the paper's numbers of pairs
PRETRAIN_SPLITS = {"train": 8000, "val": 1449, "test": 1449}


def fingerprint() -> str:
    """Return the content id of the generator and its parameters."""
    tables = [
        words.COLORS,
        words.NOUNS,
        words.SIZES,
        {str(count): options for count, options in words.COUNTS.items()},
        words.RELATIONS,
        words.VERBS,
        words.GROUNDS,
        words.PLACES,
        words.PREFIXES,
        words.SINGULAR_PREFIXES,
        words.ENDINGS,
        words.FREE_ADJECTIVES,
        [words.ZIPF, words.ZIPF_TAIL],
    ]
    scene = [world.COLORS, world.SHAPES, world.SIZES, world.COUNT_SHARES, world.GROUNDS]
    rules = [language.RULES, language.WEB_RULES, repr(drawing.RULES)]
    return content_id([VERSION, SPLITS, PRETRAIN_SPLITS, scene, tables, rules])


def splits(style: str = "sweep") -> dict[str, int]:
    """Return the sizes of a style's splits, by name."""
    return PRETRAIN_SPLITS if style == "pretrain" else SPLITS


def load_split(split: str, style: str = "sweep") -> Split:
    """Return the scenes of a split.

    Raises:
        DataError: if there is no such split or style.
    """
    sizes = {"sweep": SPLITS, "pretrain": PRETRAIN_SPLITS}.get(style)
    if sizes is None:
        raise DataError(f"scenes has the styles sweep and pretrain, but got {style!r}")
    if split not in sizes:
        raise DataError(f"scenes has the splits {', '.join(sizes)}, but got {split!r}")
    return _split(split, style, sizes[split])


@lru_cache(maxsize=8)
def _split(split: str, style: str, size: int) -> Split:
    drawn = _scenes(style, split, size)

    def load(index: int) -> Image.Image:
        candidate, scene, _ = drawn[index]
        return Image.fromarray(
            drawing.draw(scene, style, _generator(style, split, candidate, "pixels"))
        )

    return Split(
        image_ids=tuple(f"{split}-{candidate:06}" for candidate, _, _ in drawn),
        captions=tuple(captions for _, _, captions in drawn),
        load=load,
    )


def describe(index: int, split: str, style: str = "sweep") -> Scene:
    """Return the scene that the image at ``index`` of a split shows."""
    sizes = {"sweep": SPLITS, "pretrain": PRETRAIN_SPLITS}[style]
    return _scenes(style, split, sizes[split])[index][1]


def draw_with_masks(
    index: int, split: str, style: str = "sweep"
) -> tuple[NDArray[np.uint8], list[tuple[Group, Pixels]]]:
    """Return the image at ``index`` of a split, and each object's group and mask.

    The image [SIZE, SIZE, 3] is the one that the split loads. A mask [SIZE, SIZE] holds the
    fraction of each pixel that the object covers, 0 to 1.
    """
    sizes = {"sweep": SPLITS, "pretrain": PRETRAIN_SPLITS}[style]
    candidate, scene, _ = _scenes(style, split, sizes[split])[index]
    return drawing.draw_with_masks(scene, style, _generator(style, split, candidate, "pixels"))


def pretraining_scene(index: int) -> tuple[NDArray[np.uint8], list[str], Scene]:
    """Return one item of an endless pretraining stream: image [SIZE, SIZE, 3], captions, scene.

    Each item has two captions. The stream shares no random numbers with any split.
    """
    rng = _generator("pretrain", "stream", index, "scene")
    scene = world.sample_scene(rng, "pretrain")
    captions = [language.caption(scene, "pretrain", rng) for _ in range(2)]
    return drawing.draw(scene, "pretrain", rng), captions, scene


def _generator(style: str, split: str, index: int, use: str) -> np.random.Generator:
    keys = (zlib.crc32(text.encode()) for text in (style, split, use))
    return np.random.default_rng([VERSION, index, *keys])


@lru_cache(maxsize=8)
def _scenes(style: str, split: str, number: int) -> list[tuple[int, Scene, tuple[str, ...]]]:
    return [item for item, _ in zip(_stream(style, split), range(number), strict=False)]


def _stream(style: str, split: str) -> Iterator[tuple[int, Scene, tuple[str, ...]]]:
    """Yield scenes in order; outside train, skip a scene that would repeat a caption."""
    used: set[str] = set()
    seen: set[Scene] = set()
    candidate = -1
    while True:
        candidate += 1
        rng = _generator(style, split, candidate, "scene")
        scene = world.sample_scene(rng, style)
        captions = tuple(language.captions(scene, style, rng))
        if split != "train":
            if scene in seen or not used.isdisjoint(captions):
                continue
            used.update(captions)
            seen.add(scene)
        yield candidate, scene, captions
