"""Generate captions of a scene in two styles: like human annotators, and like web text.

Annotators (style ``sweep``) name both groups. Some captions in web text (style ``pretrain``) name
only one group or begin with "a picture of". Both styles choose words by Zipf's law (``words.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.datasets.scenes import words
from tasks.datasets.scenes.world import INVERSE, Group, Scene, weighted

FORMS = ("related", "grounded", "listed")  # "A left of B", the same plus the ground, "A and B"
SALIENT = 0.85  # probability of naming the larger group first, or the left or upper of two equals
NAMES_SIZE, NAMES_COLOR, NAMES_FREELY = 0.6, 0.92, 0.08
HAS_VERB, HAS_ENDING = 0.3, 0.05
SHORT, HAS_PREFIX = 0.15, 0.2  # web text only
RULES = (FORMS, SALIENT, NAMES_SIZE, NAMES_COLOR, NAMES_FREELY, HAS_VERB, HAS_ENDING)
WEB_RULES = (SHORT, HAS_PREFIX)


def caption(scene: Scene, style: str, rng: np.random.Generator) -> str:
    """Generate one caption of a scene."""
    is_web = style == "pretrain"
    first = _names_first(scene, rng)
    if is_web and rng.random() < SHORT:
        group = scene.first if first else scene.second
        text = _noun_phrase(group, rng)
        if rng.random() < 0.2:
            text += _ground_phrase(scene, rng)
    else:
        group = scene.first if first else scene.second
        text = _sentence(scene, first, rng)
    if rng.random() < HAS_ENDING:
        text += f" {_zipf(words.ENDINGS, rng)}"
    if is_web and rng.random() < HAS_PREFIX:
        prefixes = words.PREFIXES if group.count > 1 else _ALL_PREFIXES
        text = f"{_zipf(prefixes, rng)} {text}"
    return text


_ALL_PREFIXES = (*words.PREFIXES[:1], *words.SINGULAR_PREFIXES[:1], *words.PREFIXES[1:4])
_ALL_PREFIXES += (*words.SINGULAR_PREFIXES[1:], *words.PREFIXES[4:])


def captions(scene: Scene, style: str, rng: np.random.Generator, number: int = 5) -> list[str]:
    """Generate ``number`` different captions of a scene."""
    found: dict[str, None] = {}
    while len(found) < number:
        found[caption(scene, style, rng)] = None
    return list(found)


def _names_first(scene: Scene, rng: np.random.Generator) -> bool:
    """Choose whether a caption names ``scene.first`` before ``scene.second``."""
    sizes = [group.size == "large" for group in (scene.first, scene.second)]
    salient = sizes[0] >= sizes[1]
    return salient if rng.random() < SALIENT else not salient


def _sentence(scene: Scene, first: bool, rng: np.random.Generator) -> str:
    one, two = (scene.first, scene.second) if first else (scene.second, scene.first)
    relation = scene.relation if first else INVERSE[scene.relation]
    form = weighted(FORMS, words.zipf(len(FORMS)), rng)
    if form == "listed":
        return f"{_noun_phrase(one, rng)} and {_noun_phrase(two, rng)}"
    verb = ""
    if rng.random() < HAS_VERB:
        verb = " " + weighted(words.VERBS, words.zipf(len(words.VERBS)), rng)[one.count > 1]
    link = f"{verb} {_zipf(words.RELATIONS[relation], rng)}"
    text = f"{_noun_phrase(one, rng)}{link} {_noun_phrase(two, rng)}"
    return text + _ground_phrase(scene, rng) if form == "grounded" else text


def _ground_phrase(scene: Scene, rng: np.random.Generator) -> str:
    color = _zipf(words.GROUNDS[scene.ground], rng)
    return f" on {_article(color)} {color} {_zipf(words.PLACES, rng)}"


def _noun_phrase(group: Group, rng: np.random.Generator) -> str:
    found = []
    if rng.random() < NAMES_SIZE:
        found.append(_zipf(words.SIZES[group.size], rng))
    if rng.random() < NAMES_FREELY:
        adjectives = words.FREE_ADJECTIVES
        found.append(weighted(adjectives, words.zipf(len(adjectives), words.ZIPF_TAIL), rng))
    if rng.random() < NAMES_COLOR:
        found.append(_zipf(words.COLORS[group.color], rng))
    nouns = words.NOUNS[group.shape]
    found.append(weighted(nouns, words.zipf(len(nouns)), rng)[group.count > 1])
    before = _article(found[0]) if group.count == 1 else _zipf(words.COUNTS[group.count], rng)
    return " ".join([before, *found])


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _zipf(options: Sequence[str], rng: np.random.Generator) -> str:
    return weighted(options, words.zipf(len(options)), rng)
