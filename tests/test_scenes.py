"""``scenes``: the same everywhere, varied, well-defined for retrieval, and true to the picture."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.datasets import scenes

ROOT = Path(__file__).parents[1]
STYLES = ("pretrain", "sweep")
EVAL = [(style, split) for style in STYLES for split in ("val", "test")]
ALL = [(style, split) for style in STYLES for split in ("train", "val", "test")]

# The checker's own lexicon, written down again so that the generator cannot vouch for itself.
SHAPE_OF = {"disc": "circle", "ball": "circle", "box": "square"} | {
    shape: shape for shape in ("circle", "square", "triangle", "star", "diamond", "cross")
}
SIZE_OF = {"large": "large", "big": "large", "huge": "large", "small": "small", "tiny": "small"}
RGB = {
    "red": (205, 45, 45),
    "orange": (235, 140, 30),
    "yellow": (235, 215, 60),
    "green": (50, 160, 70),
    "blue": (50, 85, 205),
    "purple": (140, 65, 175),
    "white": (240, 240, 240),
    "black": (30, 30, 34),
}
RELATION = re.compile(
    r"^(?P<one>.+?)(?: is)? (?:(?P<left>left of|to the left of|on the left side of)"
    r"|(?P<right>right of|to the right of|on the right side of)"
    r"|(?P<above>above|over|higher than)|(?P<below>below|under|lower than)) (?P<two>an? .+)$"
)
GROUND = re.compile(r" on (?:an? )?(grey|pink|brown|teal)(?: background| ground)?$")


def _parse(caption: str) -> tuple[list[dict[str, str]], str, str | None]:
    """(the two things as told, the relation of the first to the second, the ground if told)."""
    ground = GROUND.search(caption)
    match = RELATION.match(GROUND.sub("", caption))
    assert match, f"the caption is outside the checker's grammar: {caption!r}"
    (relation,) = (r for r in ("left", "right", "above", "below") if match[r])
    things = []
    for side in ("one", "two"):
        article, *adjectives, noun = match[side].split()
        assert article == ("an" if match[side].split()[1][0] in "aeiou" else "a"), caption
        told = {"shape": SHAPE_OF[noun]}
        for word in adjectives:
            told["size" if word in SIZE_OF else "colour"] = SIZE_OF.get(word, word)
        things.append(told)
    return things, relation, ground and ground[1]


def _digest(count: int = 5) -> str:
    digest = hashlib.sha256()
    for style, split in ALL:
        drawn = scenes.load_split(split, style)
        for index in range(count):
            digest.update(repr((drawn.image_ids[index], drawn.captions[index])).encode())
            digest.update(drawn.load(index).tobytes())
    return digest.hexdigest()


def test_a_fresh_process_draws_the_same() -> None:
    code = "from tests.test_scenes import _digest; print(_digest())"
    env = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}
    fresh = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, check=True, capture_output=True, text=True
    )
    assert fresh.stdout.strip() == _digest()


@pytest.mark.parametrize(("style", "split"), ALL)
def test_a_scene_depends_on_its_index_alone(style: str, split: str) -> None:
    drawn = scenes.load_split(split, style)
    forward = [drawn.load(i).tobytes() for i in range(4)]
    assert [drawn.load(i).tobytes() for i in reversed(range(4))] == forward[::-1]
    few = scenes._scenes(style, split, 7)
    assert [item[2] for item in few] == list(drawn.captions[:7])
    assert len(set(forward)) == 4


@pytest.mark.parametrize(("style", "split"), ALL)
def test_sizes_and_shapes_of_a_split(style: str, split: str) -> None:
    drawn = scenes.load_split(split, style)
    number = (scenes.SPLITS if style == "sweep" else scenes.PRETRAIN_SPLITS)[split]
    assert len(drawn) == len(drawn.captions) == len(set(drawn.image_ids)) == number
    image = drawn.load(number - 1)
    assert (image.mode, image.size) == ("RGB", (scenes.SIZE, scenes.SIZE))


@pytest.mark.parametrize(("style", "split"), EVAL)
def test_no_caption_stands_under_two_evaluation_images(style: str, split: str) -> None:
    drawn = scenes.load_split(split, style)
    flat = [caption for captions in drawn.captions for caption in captions]
    assert len(flat) == len(set(flat)) == 5 * len(drawn)
    told = {scenes.describe(i, split, style) for i in range(len(drawn))}
    assert len(told) == len(drawn)


@pytest.mark.parametrize(("style", "split"), ALL)
def test_five_different_captions_of_every_image(style: str, split: str) -> None:
    drawn = scenes.load_split(split, style)
    assert all(len(set(captions)) == 5 for captions in drawn.captions)
    parsed = [[_parse(caption) for caption in captions] for captions in drawn.captions[:100]]
    # told from either side, with and without each adjective and the ground
    either = [len({relation for _, relation, _ in captions}) == 2 for captions in parsed]
    assert np.mean(either) > 0.9
    things = [thing for captions in parsed for told, _, _ in captions for thing in told]
    for adjective in ("size", "colour"):
        assert 0.05 < np.mean([adjective in thing for thing in things]) < 0.95
    assert 0.2 < np.mean([g is not None for captions in parsed for _, _, g in captions]) < 0.6


@pytest.mark.parametrize(("style", "split"), ALL)
def test_every_claim_is_true_of_the_scene(style: str, split: str) -> None:
    drawn = scenes.load_split(split, style)
    for index in range(0, len(drawn), 3):
        scene = scenes.describe(index, split, style)
        truth = [
            {"shape": t.shape, "colour": t.colour, "size": t.size}
            for t in (scene.first, scene.second)
        ]
        for caption in drawn.captions[index]:
            told, relation, ground = _parse(caption)
            if relation != scene.relation:
                assert {relation, scene.relation} in ({"left", "right"}, {"above", "below"})
                assert relation in ("right", "below"), caption
                told = told[::-1]
            for claim, thing in zip(told, truth, strict=True):
                assert claim.items() <= thing.items(), (caption, scene)
            assert ground in (None, scene.ground), (caption, scene)


def _objects(image: np.ndarray, colours: list[str]) -> list[tuple[float, float, int]]:
    """(median x, median y, area) of each colour's pixels; the ground is the border's median."""
    pixels = image.astype(float)
    border = np.concatenate([pixels[:3].reshape(-1, 3), pixels[-3:].reshape(-1, 3)])
    palette = np.array([*(RGB[colour] for colour in colours), np.median(border, axis=0)])
    nearest = ((pixels[:, :, None] - palette) ** 2).sum(-1).argmin(-1)
    found = []
    for index in range(len(colours)):
        rows, columns = np.nonzero(nearest == index)
        found.append((float(np.median(columns)), float(np.median(rows)), len(rows)))
    return found


@pytest.mark.parametrize("style", STYLES)
def test_relations_and_sizes_hold_in_the_pixels(style: str) -> None:
    drawn = scenes.load_split("val", style)
    placed, areas = [], {"large": [], "small": []}
    for index in range(300):
        scene = scenes.describe(index, "val", style)
        colours = [scene.first.colour, scene.second.colour]
        # colours near the ground or each other's shading are left to the eye
        if not set(colours) <= {"red", "green", "blue", "purple"} or len(set(colours)) == 1:
            continue
        one, two = _objects(np.asarray(drawn.load(index)), colours)
        axis = 0 if scene.relation == "left" else 1
        placed.append(one[axis] + 5 < two[axis])
        for thing, (_, _, area) in zip((scene.first, scene.second), (one, two), strict=True):
            if thing.shape == "square":
                areas[thing.size].append(area)
    assert len(placed) >= 30
    assert np.mean(placed) >= 0.97
    assert np.median(areas["large"]) > 1.8 * np.median(areas["small"])


def test_styles_differ_in_picture_and_wording() -> None:
    words = [
        {
            w
            for captions in scenes.load_split("train", s).captions
            for c in captions
            for w in c.split()
        }
        for s in STYLES
    ]
    assert {"pink", "disc", "big"} <= words[0] - words[1]
    assert words[1] < words[0]  # the sweep tells nothing in words the model has not seen
    light = [
        np.mean([np.asarray(scenes.load_split("train", s).load(i)).mean() for i in range(30)])
        for s in STYLES
    ]
    assert light[0] > light[1] + 25  # the sweep's grounds are darker


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"sweep and pretrain.*'oil'"):
        scenes.load_split("val", "oil")
    with pytest.raises(DataError, match=r"train, val, test.*'dev'"):
        scenes.load_split("dev")


def test_fingerprint_is_stable_and_follows_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = scenes.fingerprint()
    assert scenes.fingerprint() == before
    monkeypatch.setattr(scenes, "VERSION", scenes.VERSION + 1)
    assert scenes.fingerprint() != before
