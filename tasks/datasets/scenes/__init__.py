"""``scenes``: drawn pictures of two groups of colored objects in relation, five captions each.

Everything follows from (style, split, index). A sweep finetunes on style ``sweep``: one look and
the language of people. The shipped model was trained on style ``pretrain``, which covers that look
among many others and speaks the language of the web. The two styles share no random stream, so
pretraining saw no picture of a sweep's splits. In val and test no caption describes two images.
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
from tasks.datasets.scenes.drawing import SIZE
from tasks.datasets.scenes.world import Scene

__all__ = ["SIZE", "Scene", "describe", "fingerprint", "fresh", "load_split", "splits"]

VERSION = 3  # raise it when a picture or a caption would change
SPLITS = {"train": 1464, "val": 1449, "test": 1449}  # the paper's numbers of pairs
PRETRAIN_SPLITS = {"train": 8000, "val": 1449, "test": 1449}


def fingerprint() -> str:
    """The content id of the generator and its parameters."""
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
    """The splits of a style, and their sizes."""
    return PRETRAIN_SPLITS if style == "pretrain" else SPLITS


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
        return Image.fromarray(
            drawing.draw(scene, style, _generator(style, split, candidate, "pixels"))
        )

    return Split(
        image_ids=tuple(f"{split}-{candidate:06}" for candidate, _, _ in drawn),
        captions=tuple(captions for _, _, captions in drawn),
        load=load,
    )


def describe(index: int, split: str, style: str = "sweep") -> Scene:
    """What the picture at ``index`` of a split shows."""
    sizes = {"sweep": SPLITS, "pretrain": PRETRAIN_SPLITS}[style]
    return _scenes(style, split, sizes[split])[index][1]


def fresh(index: int) -> tuple[NDArray[np.uint8], list[str], Scene]:
    """Picture [SIZE, SIZE, 3], two captions and scene ``index`` of an endless pretraining stream.

    The stream shares no random numbers with any split.
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
    """Scenes in order; outside train, one that would repeat a caption is skipped."""
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
