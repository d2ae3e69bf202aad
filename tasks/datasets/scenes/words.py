"""The words of captions. Each tuple of synonyms is ordered from the most to the least common.

Word frequencies follow Zipf's law (Zipf 1949): the synonym of rank r is chosen with a probability
proportional to r ** -ZIPF. The exponent of a whole vocabulary is about 1. Synonyms get a larger
one, because people mostly agree on the common word.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

ZIPF, ZIPF_TAIL = 1.5, 1.0  # for synonyms and sentence forms; for free adjectives

Words = tuple[str, ...]

COLORS: Mapping[str, Words] = {
    "red": ("red", "crimson", "scarlet", "ruby", "cherry"),
    "orange": ("orange", "amber", "tangerine", "apricot"),
    "yellow": ("yellow", "golden", "lemon", "mustard"),
    "green": ("green", "emerald", "jade", "grassy"),
    "blue": ("blue", "navy", "azure", "cobalt", "sapphire"),
    "purple": ("purple", "violet", "plum", "mauve"),
    "white": ("white", "ivory", "snowy", "chalky"),
    "black": ("black", "dark", "inky", "ebony"),
}
#: Singular and plural.
NOUNS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "circle": (
        ("circle", "circles"),
        ("ball", "balls"),
        ("disc", "discs"),
        ("dot", "dots"),
        ("sphere", "spheres"),
    ),
    "square": (
        ("square", "squares"),
        ("box", "boxes"),
        ("block", "blocks"),
        ("tile", "tiles"),
        ("cube", "cubes"),
    ),
    "triangle": (("triangle", "triangles"), ("pyramid", "pyramids"), ("wedge", "wedges")),
    "star": (("star", "stars"), ("starlet", "starlets")),
    "diamond": (("diamond", "diamonds"), ("rhombus", "rhombuses"), ("lozenge", "lozenges")),
    "cross": (("cross", "crosses"), ("plus", "pluses")),
    "ring": (("ring", "rings"), ("hoop", "hoops"), ("donut", "donuts"), ("loop", "loops")),
    "crescent": (("crescent", "crescents"), ("moon", "moons"), ("sickle", "sickles")),
    "heart": (("heart", "hearts"), ("valentine", "valentines")),
    "arrow": (("arrow", "arrows"), ("pointer", "pointers"), ("dart", "darts")),
}
SIZES: Mapping[str, Words] = {
    "large": ("large", "big", "huge", "giant", "enormous", "massive"),
    "small": ("small", "little", "tiny", "mini", "miniature", "minute"),
}
COUNTS: Mapping[int, Words] = {
    2: ("two", "a pair of", "a couple of", "twin"),
    3: ("three", "a trio of", "a group of", "several"),
}
RELATIONS: Mapping[str, Words] = {
    "left": ("to the left of", "left of", "on the left of", "on the left side of", "beside"),
    "right": ("to the right of", "right of", "on the right of", "on the right side of", "beside"),
    "above": ("above", "over", "on top of", "higher than"),
    "below": ("below", "under", "beneath", "underneath", "lower than"),
}
#: Singular and plural.
VERBS = (
    ("is", "are"),
    ("sits", "sit"),
    ("lies", "lie"),
    ("rests", "rest"),
    ("floats", "float"),
    ("appears", "appear"),
    ("hovers", "hover"),
)
GROUNDS: Mapping[str, Words] = {
    "grey": ("grey", "gray", "silver", "slate", "ashen"),
    "pink": ("pink", "rose", "salmon", "blush"),
    "brown": ("brown", "tan", "chocolate", "earthy"),
    "teal": ("teal", "turquoise", "aqua", "cyan"),
}
PLACES: Words = ("background", "surface", "ground", "backdrop", "field", "wall", "canvas", "floor")
#: Web text may begin with one of these. Those in SINGULAR_PREFIXES need a singular noun.
PREFIXES: Words = (
    "a picture of",
    "an image of",
    "a photo of",
    "a drawing of",
    "this image shows",
    "an illustration of",
    "this image depicts",
    "a painting of",
    "a close up of",
    "a view of",
)
SINGULAR_PREFIXES: Words = ("this is", "there is", "here is", "we see")
ENDINGS: Words = (
    "in the picture",
    "in the image",
    "with a shadow",
    "in this scene",
    "casting a shadow",
    "side by side",
    "up close",
    "for decoration",
    "at rest",
    "in daylight",
)
#: Adjectives unrelated to the image, as in human captions: they make up the tail of rare words.
FREE_ADJECTIVES: Words = tuple(
    """bright shiny nice plain simple pretty smooth bold clean flat solid neat beautiful colorful
    glossy soft lovely single modern vivid cute rounded sharp fresh lone clear fancy funny
    glowing painted perfect polished matte elegant cheerful sturdy delicate graceful handsome quiet
    playful stylish tidy warm cool light heavy thick thin hollow curious odd strange
    familiar common ordinary rare unusual striking charming dull faded dusty rustic vintage classic
    festive wooden plastic metal glass paper rubber ceramic velvet silky fuzzy smudged worn crisp
    polite lucky happy lonely proud gentle brave noble humble royal magic mystic cosmic lunar solar
    tropical arctic coastal urban rural""".split()  # noqa: SIM905 - a hundred quoted words would be harder to read
)


@cache
def zipf(number: int, exponent: float = ZIPF) -> tuple[float, ...]:
    """Return the probabilities of ranks 1 to ``number``."""
    weights = [rank**-exponent for rank in range(1, number + 1)]
    total = sum(weights)
    return tuple(weight / total for weight in weights)


def vocabulary() -> set[str]:
    """Return every word that a caption can contain."""
    phrases: list[str] = ["a", "an", "and", "on", "of", "this", "is", "image", "depicts"]
    for table in (COLORS, SIZES, COUNTS, RELATIONS, GROUNDS):
        phrases += [phrase for options in table.values() for phrase in options]
    pairs = [*VERBS, *(pair for options in NOUNS.values() for pair in options)]
    phrases += [word for pair in pairs for word in pair]
    phrases += [*PLACES, *PREFIXES, *SINGULAR_PREFIXES, *ENDINGS, *FREE_ADJECTIVES]
    return {word for phrase in phrases for word in phrase.split()}
