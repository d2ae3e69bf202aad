"""Draw scenes: shaded objects with shadows on a textured ground.

Lengths are in pixels of the final image. Masks are drawn at twice this size and then reduced.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tasks.datasets.scenes.world import COLORS, GROUNDS, Group, Scene, pick

SIZE = 64  # width and height in pixels
_SCALE = 2  # supersampling of masks
#: Range of an object's radius by its size and the size of its group: both groups must fit.
RADII = {
    "large": {1: (11.5, 13.5), 2: (9.5, 11.0), 3: (7.5, 8.5)},
    "small": {1: (6.5, 8.0), 2: (5.5, 6.5), 3: (4.5, 5.5)},
}
_SPACING = 2.45  # distance between the centers of neighbors in a group, in radii
_SLOPE = 18.0  # largest change of the ground's brightness from the center to an edge

Pixels = NDArray[np.float32]
_AXIS = np.arange(SIZE, dtype=np.float32)
_RAMP = np.linspace(-1, 1, SIZE, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Look:
    """The look of a style. Each image draws its values uniformly from these ranges."""

    ground_scale: tuple[float, float]  # factor of the ground's color
    ground_shift: float  # largest shift of each channel of the ground's color
    grain: tuple[float, float]  # standard deviation of the ground's texture
    cells: tuple[int, ...]  # number of texture cells per side
    jitter: tuple[float, float]  # largest shift of each channel of an object's color


#: Pretraining covers the sweep's look among many, as web images cover those of one data set.
LOOKS = {
    "pretrain": Look((0.45, 1.15), 12.0, (3.0, 16.0), (8, 16), (8.0, 26.0)),
    "sweep": Look((1.0, 1.0), 0.0, (14.0, 14.0), (16,), (24.0, 24.0)),
}
RULES = (SIZE, RADII, _SPACING, _SLOPE, {name: repr(look) for name, look in LOOKS.items()})


def draw(scene: Scene, style: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a scene as an image uint8 [SIZE, SIZE, 3]."""
    return draw_with_masks(scene, style, rng)[0]


def draw_with_masks(
    scene: Scene, style: str, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], list[tuple[Group, Pixels]]]:
    """Draw a scene; return the image, and each object's group and mask in order of painting.

    A mask [SIZE, SIZE] holds the fraction of each pixel that the object covers, 0 to 1.
    """
    look = LOOKS[style]
    pixels = _ground(GROUNDS[style][scene.ground], look, rng)
    jitter = rng.uniform(*look.jitter)
    objects = []
    for group, (center, across) in zip(
        (scene.first, scene.second), _positions(scene, rng), strict=True
    ):
        radius = rng.uniform(*RADII[group.size][group.count])
        color = np.array(COLORS[group.color]) + rng.uniform(-jitter, jitter, 3)
        for x, y in _members(group, radius, center, across, scene.relation):
            mask = _mask(group.shape, (x, y), radius, rng)
            _paint(pixels, mask, (x, y), radius, np.clip(color, 0, 255))
            objects.append((group, mask))
    return np.clip(pixels, 0, 255).astype(np.uint8), objects


def _positions(scene: Scene, rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """Return each group's position along the relation's axis and across it; groups never touch."""
    near, far = rng.uniform(14, 17), rng.uniform(47, 50)
    return (near, rng.uniform(18, 46)), (far, rng.uniform(18, 46))


def _members(
    group: Group, radius: float, center: float, across: float, relation: str
) -> list[tuple[float, float]]:
    """Return the centers (x, y) of a group's objects, in a row across the relation's axis."""
    reach = (group.count - 1) / 2 * _SPACING * radius
    margin = reach + 1.25 * radius
    middle = SIZE / 2 if 2 * margin >= SIZE else float(np.clip(across, margin, SIZE - margin))
    offsets = [(i - (group.count - 1) / 2) * _SPACING * radius for i in range(group.count)]
    points = [(center, middle + offset) for offset in offsets]
    return points if relation == "left" else [(y, x) for x, y in points]


def _ground(color: tuple[int, int, int], look: Look, rng: np.random.Generator) -> Pixels:
    base = np.array(color) * rng.uniform(*look.ground_scale)
    base = base + rng.uniform(-look.ground_shift, look.ground_shift, 3)
    slope = _RAMP[:, None] * rng.uniform(-_SLOPE, _SLOPE) + _RAMP * rng.uniform(-_SLOPE, _SLOPE)
    cells = pick(look.cells, rng)
    grain = rng.normal(0, rng.uniform(*look.grain), (cells, cells))
    texture = grain.repeat(SIZE // cells, 0).repeat(SIZE // cells, 1)
    return (base + (slope + texture)[..., None]).astype(np.float32)


def _paint(
    pixels: Pixels,
    mask: Pixels,
    center: tuple[float, float],
    radius: float,
    color: NDArray[np.float64],
) -> None:
    """Paint an object and its shadow into ``pixels``."""
    shadow = np.zeros_like(mask)
    shadow[2:, 2:] = mask[:-2, :-2]
    pixels *= 1 - 0.35 * shadow[..., None]
    light = 1.0 - 0.22 * ((_AXIS - center[0]) + (_AXIS[:, None] - center[1])) / (2 * radius)
    shaded = np.clip(color.astype(np.float32) * light[..., None], 0, 255)
    pixels += mask[..., None] * (shaded - pixels)


def _mask(
    shape: str, center: tuple[float, float], radius: float, rng: np.random.Generator
) -> Pixels:
    """Return the fraction of each pixel that the object covers, 0 to 1."""
    canvas = Image.new("L", (SIZE * _SCALE, SIZE * _SCALE))
    pen = ImageDraw.Draw(canvas)
    x, y, r = center[0] * _SCALE, center[1] * _SCALE, radius * _SCALE
    turn = rng.uniform(-0.15, 0.15)
    if shape in ("circle", "ring", "crescent"):
        pen.ellipse((x - r, y - r, x + r, y + r), fill=255)
        if shape == "ring":
            pen.ellipse((x - 0.55 * r, y - 0.55 * r, x + 0.55 * r, y + 0.55 * r), fill=0)
        elif shape == "crescent":
            dx, dy = 0.55 * r * np.cos(turn - 0.3), 0.55 * r * np.sin(turn - 0.3)
            inner = 0.85 * r
            pen.ellipse((x + dx - inner, y + dy - inner, x + dx + inner, y + dy + inner), fill=0)
    else:
        cos, sin = np.cos(turn), np.sin(turn)
        corners = _OUTLINES[shape] * r
        points = np.stack([x + corners @ (cos, -sin), y + corners @ (sin, cos)], 1)
        pen.polygon([tuple(point) for point in points.tolist()], fill=255)
    return np.asarray(canvas.reduce(_SCALE), dtype=np.float32) / np.float32(255)


def _polar(points: list[tuple[float, float]]) -> NDArray[np.float64]:
    return np.array([(r * np.cos(a), r * np.sin(a)) for r, a in points])


def _heart() -> NDArray[np.float64]:
    t = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y - 2.5], 1) * (1.15 / 16)


def _outlines() -> dict[str, NDArray[np.float64]]:
    """Return the corners of each shape, of radius 1 around 0; y points down."""
    up = -np.pi / 2
    arm = [(1.1, -0.36), (1.1, 0.36), (0.36, 0.36)]  # of a cross, and the notch after it
    quarter = [(float(np.hypot(x, y)), float(np.arctan2(y, x))) for x, y in arm]
    arrow = [(-1.1, -0.35), (0.1, -0.35), (0.1, -1.0), (1.2, 0.0), (0.1, 1.0), (0.1, 0.35)]
    return {
        "square": _polar([(1.15, np.pi / 4 + k * np.pi / 2) for k in range(4)]),
        "triangle": _polar([(1.2, up + k * 2 * np.pi / 3) for k in range(3)]),
        "diamond": _polar([(1.25 if k % 2 == 0 else 0.75, up + k * np.pi / 2) for k in range(4)]),
        "star": _polar([(1.25 if k % 2 == 0 else 0.5, up + k * np.pi / 5) for k in range(10)]),
        "cross": _polar([(r, a + k * np.pi / 2) for k in range(4) for r, a in quarter]),
        "heart": _heart(),
        "arrow": np.array([*arrow, (-1.1, 0.35)]),
    }


_OUTLINES = _outlines()
