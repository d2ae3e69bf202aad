"""``scenes``: reproducible, varied, unambiguous for retrieval, and true to their pictures."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.datasets import scenes
from tasks.datasets.scenes import drawing, words, world

STYLES = ("pretrain", "sweep")
EVAL = [(style, split) for style in STYLES for split in ("val", "test")]
ALL = [(style, split) for style in STYLES for split in ("train", "val", "test")]

# The lexicon of the checker, written independently of the generator.
SHAPE_OF = {
    word: shape
    for shape, words in {
        "circle": "circle circles ball balls disc discs dot dots sphere spheres",
        "square": "square squares box boxes block blocks tile tiles cube cubes",
        "triangle": "triangle triangles pyramid pyramids wedge wedges",
        "star": "star stars starlet starlets",
        "diamond": "diamond diamonds rhombus rhombuses lozenge lozenges",
        "cross": "cross crosses plus pluses",
        "ring": "ring rings hoop hoops donut donuts loop loops",
        "crescent": "crescent crescents moon moons sickle sickles",
        "heart": "heart hearts valentine valentines",
        "arrow": "arrow arrows pointer pointers dart darts",
    }.items()
    for word in words.split()
}
COLOR_OF = {
    word: color
    for color, words in {
        "red": "red crimson scarlet ruby cherry",
        "orange": "orange amber tangerine apricot",
        "yellow": "yellow golden lemon mustard",
        "green": "green emerald jade grassy",
        "blue": "blue navy azure cobalt sapphire",
        "purple": "purple violet plum mauve",
        "white": "white ivory snowy chalky",
        "black": "black dark inky ebony",
    }.items()
    for word in words.split()
}
SIZE_OF = {
    word: size
    for size, words in {
        "large": "large big huge giant enormous massive",
        "small": "small little tiny mini miniature minute",
    }.items()
    for word in words.split()
}
GROUND_OF = {
    word: ground
    for ground, words in {
        "grey": "grey gray silver slate ashen",
        "pink": "pink rose salmon blush",
        "brown": "brown tan chocolate earthy",
        "teal": "teal turquoise aqua cyan",
    }.items()
    for word in words.split()
}
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
COUNT = r"(?P<count>two|a pair of|a couple of|twin|three|a trio of|a group of|several|an?)"
COUNT_OF = {"a": 1, "an": 1, "two": 2, "a pair of": 2, "a couple of": 2, "twin": 2}
GROUP = re.compile(rf"^{COUNT} (?P<adjectives>(?:\w+ )*)(?P<noun>\w+)$")
RELATION = re.compile(
    r"^(?P<one>.+?)(?: (?P<verb>is|are|sits?|lies?|rests?|floats?|appears?|hovers?))? "
    r"(?:(?P<left>(?:to the |on the )?left (?:side )?of)"
    r"|(?P<right>(?:to the |on the )?right (?:side )?of)|(?P<beside>beside)"
    r"|(?P<above>above|over|on top of|higher than)"
    r"|(?P<below>below|under|beneath|underneath|lower than)) (?P<two>.+)$"
)
GROUND = re.compile(
    rf" on an? ({'|'.join(GROUND_OF)}) "
    r"(?:background|surface|ground|backdrop|field|wall|canvas|floor)$"
)
PREFIX = re.compile(
    r"^(?:an? (?:picture|image|photo|drawing|illustration|painting|close up|view) of"
    r"|this image (?:shows|depicts)|(?:this|there|here) is|we see) "
)
ENDING = re.compile(
    r" (?:in (?:the picture|the image|this scene|daylight)|with a shadow|casting a shadow"
    r"|side by side|up close|for decoration|at rest)$"
)


@dataclass(frozen=True)
class Parsed:
    groups: list[dict[str, object]]  # what the caption says about each group that it names
    relation: str | None  # of the first to the second
    ground: str | None


def _parse(caption: str) -> Parsed:
    text = ENDING.sub("", PREFIX.sub("", caption))
    ground = GROUND.search(text)
    text = GROUND.sub("", text)
    named = ground and GROUND_OF[ground[1]]
    if match := RELATION.match(text):
        relation = next(r for r in ("left", "right", "beside", "above", "below") if match[r])
        groups = [_parse_group(match["one"]), _parse_group(match["two"])]
        if match["verb"]:
            plural = not match["verb"].endswith("s")
            assert plural == (groups[0]["count"] != 1), caption
        return Parsed(groups, relation, named)
    return Parsed([_parse_group(part) for part in text.split(" and ")], None, named)


def _parse_group(text: str) -> dict[str, object]:
    match = GROUP.match(text)
    assert match, f"the phrase is outside the checker's grammar: {text!r}"
    words = [*match["adjectives"].split(), match["noun"]]
    found: dict[str, object] = {
        "shape": SHAPE_OF[match["noun"]],
        "count": COUNT_OF.get(match["count"], 3),
    }
    is_plural = match["noun"].endswith("s") and match["noun"] not in ("cross", "rhombus", "plus")
    assert is_plural == (found["count"] != 1), text
    if found["count"] == 1:
        assert match["count"] == ("an" if words[0][0] in "aeiou" else "a"), text
    for word in words[:-1]:
        if word in SIZE_OF:
            found["size"] = SIZE_OF[word]
        elif word in COLOR_OF:
            found["color"] = COLOR_OF[word]
    return found


@pytest.mark.parametrize(("style", "split"), ALL)
def test_scene_depends_only_on_its_index(style: str, split: str) -> None:
    drawn = scenes.load_split(split, style)
    forward = [drawn.load(i).tobytes() for i in range(4)]
    assert [drawn.load(i).tobytes() for i in reversed(range(4))] == forward[::-1]
    few = scenes._scenes.__wrapped__(style, split, 7)  # leaves the cache to the other tests
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
def test_no_caption_describes_two_evaluation_images(style: str, split: str) -> None:
    drawn = scenes.load_split(split, style)
    flat = [caption for captions in drawn.captions for caption in captions]
    assert len(flat) == len(set(flat)) == 5 * len(drawn)
    described = {scenes.describe(i, split, style) for i in range(len(drawn))}
    assert len(described) == len(drawn)


@pytest.mark.parametrize(("style", "split"), ALL)
def test_captions_of_an_image_differ(style: str, split: str) -> None:
    drawn = scenes.load_split(split, style)
    assert all(len(set(captions)) == 5 for captions in drawn.captions)
    parsed = [_parse(caption) for captions in drawn.captions[:200] for caption in captions]
    groups = [group for each in parsed for group in each.groups]
    for attribute in ("size", "color"):
        assert 0.05 < np.mean([attribute in group for group in groups]) < 0.98
    assert 0.1 < np.mean([each.ground is not None for each in parsed]) < 0.5
    assert 0.05 < np.mean([each.relation is None for each in parsed]) < 0.5
    short = np.mean([len(each.groups) == 1 for each in parsed])
    assert short == 0 if style == "sweep" else 0.05 < short < 0.3


@pytest.mark.parametrize(("style", "split"), ALL)
def test_every_caption_is_true_of_its_scene(style: str, split: str) -> None:
    drawn = scenes.load_split(split, style)
    for index in range(0, len(drawn), 3):
        scene = scenes.describe(index, split, style)
        truth = [
            {"shape": g.shape, "color": g.color, "size": g.size, "count": g.count}
            for g in (scene.first, scene.second)
        ]
        for caption in drawn.captions[index]:
            parsed = _parse(caption)
            assert parsed.ground in (None, scene.ground), (caption, scene)
            orders = [truth, truth[::-1]]
            if parsed.relation == "beside":
                assert scene.relation == "left"
            elif parsed.relation is not None:
                opposite = {"left": "right", "above": "below"}[scene.relation]
                assert parsed.relation in (scene.relation, opposite), (caption, scene)
                orders = [truth if parsed.relation == scene.relation else truth[::-1]]
            fits = [
                all(
                    claim.items() <= group.items()
                    for claim, group in zip(parsed.groups, order, strict=False)
                )
                for order in orders
            ]
            assert any(fits), (caption, scene)


def test_words_follow_zipfs_law() -> None:
    """The first synonym is the most frequent, and most of a few hundred words are rare."""
    train = scenes.load_split("train", "pretrain").captions
    counts = Counter(word for captions in train for caption in captions for word in caption.split())
    assert set(counts) <= words.vocabulary()
    assert 250 <= len(counts) <= 400
    for options in (*words.COLORS.values(), *words.SIZES.values()):
        assert max(options, key=lambda word: counts[word]) == options[0]
        assert counts[options[0]] > 1.5 * counts[options[-1]]
    total = sum(counts.values())
    tail = [word for word, count in counts.items() if count < total / 1000]
    assert len(tail) > len(counts) / 2


def test_zipf_shares() -> None:
    shares = words.zipf(4, exponent=1.0)
    assert shares == pytest.approx((12 / 25, 6 / 25, 4 / 25, 3 / 25))
    rng = np.random.default_rng(0)
    drawn = Counter(world.weighted("abcd", shares, rng) for _ in range(20_000))
    for option, share in zip("abcd", shares, strict=True):
        assert drawn[option] / 20_000 == pytest.approx(share, abs=0.02)


def test_pretraining_scenes_are_disjoint_from_every_split() -> None:
    streamed = [scenes.pretraining_scene(index) for index in range(300)]
    pictures = {pixels.tobytes() for pixels, _, _ in streamed}
    assert len(pictures) == 300
    for style, split in ALL:
        drawn = scenes.load_split(split, style)
        assert not pictures & {np.asarray(drawn.load(i)).tobytes() for i in range(100)}
    again, captions, scene = scenes.pretraining_scene(7)
    assert (again.tobytes(), captions, scene) == (streamed[7][0].tobytes(), *streamed[7][1:])


def test_pretraining_covers_the_grounds_of_the_sweep() -> None:
    """Each background of the sweep is close to backgrounds of the pretraining scenes."""
    corner = slice(0, 10)
    seen = {
        name: np.array([_ground_color("pretrain", name, seed) for seed in range(300)])
        for name in world.GROUNDS["sweep"]
    }
    for name, colors in seen.items():
        for seed in range(10):
            distance = np.abs(colors - _ground_color("sweep", name, seed)).max(1).min()
            assert distance < 12, (name, corner)


def _ground_color(style: str, ground: str, seed: int) -> np.ndarray:
    group = world.Group("red", "circle", "small", 1)
    scene = scenes.Scene(group, group, "left", ground)
    pixels = drawing.draw(scene, style, np.random.default_rng(seed))
    return np.median(pixels[:4].reshape(-1, 3), axis=0)


def _objects(image: np.ndarray, colors: list[str]) -> list[tuple[float, float, int]]:
    """(median x, median y, area) of each color's pixels; the ground is the border's median."""
    pixels = image.astype(float)
    border = np.concatenate([pixels[:3].reshape(-1, 3), pixels[-3:].reshape(-1, 3)])
    palette = np.array([*(RGB[color] for color in colors), np.median(border, axis=0)])
    nearest = ((pixels[:, :, None] - palette) ** 2).sum(-1).argmin(-1)
    found = []
    for index in range(len(colors)):
        rows, columns = np.nonzero(nearest == index)
        found.append((float(np.median(columns)), float(np.median(rows)), len(rows)))
    return found


@pytest.mark.parametrize("style", STYLES)
def test_relations_and_sizes_are_visible_in_the_pixels(style: str) -> None:
    drawn = scenes.load_split("val", style)
    placed, areas = [], {"large": [], "small": []}
    for index in range(len(drawn)):
        scene = scenes.describe(index, "val", style)
        colors = [scene.first.color, scene.second.color]
        # Colors close to the background or to each other cannot be told apart here.
        if not set(colors) <= {"red", "green", "blue"} or len(set(colors)) == 1:
            continue
        one, two = _objects(np.asarray(drawn.load(index)), colors)
        axis = 0 if scene.relation == "left" else 1
        placed.append(one[axis] + 5 < two[axis])
        for group, (_, _, area) in zip((scene.first, scene.second), (one, two), strict=True):
            if group.shape == "square" and group.count == 1:
                areas[group.size].append(area)
    assert len(placed) >= 30
    assert np.mean(placed) >= 0.95
    assert np.median(areas["large"]) > 1.8 * np.median(areas["small"])


@pytest.mark.parametrize("shape", world.SHAPES)
def test_objects_neither_overlap_nor_leave_the_picture(shape: str) -> None:
    for size, count in itertools.product(world.SIZES, world.COUNTS):
        group = world.Group("white", shape, size, count)
        for seed in range(5):
            rng = np.random.default_rng(seed)
            radius = rng.uniform(*drawing.RADII[size][count])
            members = drawing._members(group, radius, 16.0, rng.uniform(18, 46), "left")
            assert len(members) == count
            masks = [drawing._mask(shape, place, radius, rng) for place in members]
            whole = drawing._mask(shape, (32.0, 32.0), radius, rng).sum()
            assert all(mask.sum() > 0.6 * whole for mask in masks)
            assert (np.sum(masks, axis=0) - 1).clip(0).sum() < 3  # in pixels: tips may touch


def test_unknown_style_and_split_are_refused() -> None:
    with pytest.raises(DataError, match=r"sweep and pretrain.*'oil'"):
        scenes.load_split("val", "oil")
    with pytest.raises(DataError, match=r"train, val, test.*'dev'"):
        scenes.load_split("dev")


def test_fingerprint_is_stable_and_follows_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = scenes.fingerprint()
    assert scenes.fingerprint() == before
    monkeypatch.setattr(scenes, "VERSION", scenes.VERSION + 1)
    assert scenes.fingerprint() != before
