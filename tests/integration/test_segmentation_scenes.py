"""The masks of scenes are exact."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.datasets import scenes
from tasks.datasets.scenes import drawing, world
from tasks.segmentation.masked import SCENE_CLASSES, load_scenes


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_image_with_masks_is_the_image_of_the_split(split: str) -> None:
    for index in (0, 7):
        pixels = scenes.draw_with_masks(index, split)[0]
        np.testing.assert_array_equal(pixels, scenes.load_split(split).load(index))


def inside(shape: str, point: tuple[float, float], turn: float) -> bool:
    """Whether a point, relative to the center and in radii, is inside a shape."""
    x, y = point
    if shape == "circle":
        return x * x + y * y <= 1
    if shape == "ring":
        return 0.55**2 <= x * x + y * y <= 1
    if shape == "crescent":
        dx, dy = 0.55 * np.cos(turn - 0.3), 0.55 * np.sin(turn - 0.3)
        return x * x + y * y <= 1 and (x - dx) ** 2 + (y - dy) ** 2 >= 0.85**2
    cos, sin = np.cos(turn), np.sin(turn)
    outline = drawing._OUTLINES[shape]
    corners = np.stack([outline @ (cos, -sin), outline @ (sin, cos)], 1)
    odd = False
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, 0), strict=True):
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            odd = not odd
    return odd


@pytest.mark.parametrize("shape", SCENE_CLASSES[1:])
def test_mask_agrees_with_the_geometry(shape: str) -> None:
    center, radius = (30.3, 33.8), 12.0
    turn = float(np.random.default_rng(5).uniform(-0.15, 0.15))
    mask = drawing._mask(shape, center, radius, np.random.default_rng(5))
    wrong = 0
    for y in range(18, 50):  # around the object
        for x in range(14, 47):
            # Points up to half a pixel outside of the pixel: where all agree, the label is certain.
            grid = (-0.5, 0.5, 1.5)
            points = [
                ((x + u - center[0]) / radius, (y + v - center[1]) / radius)
                for u in grid
                for v in grid
            ]
            hits = [inside(shape, point, turn) for point in points]
            if all(hits) or not any(hits):
                wrong += bool(mask[y, x] >= 0.5) != hits[0]
    assert wrong == 0
    assert not mask[:18].any()
    assert not mask[50:].any()
    assert not mask[:, :14].any()
    assert not mask[:, 47:].any()


def test_labels_are_the_shapes_of_the_scene() -> None:
    split = load_scenes("val")
    for index in range(20):
        scene = scenes.describe(index, "val")
        labels = split.load_mask(index)
        assert labels.dtype == np.uint8
        assert labels.shape == (scenes.SIZE, scenes.SIZE)
        shapes = {SCENE_CLASSES[label] for label in np.unique(labels)}
        assert shapes == {"background", scene.first.shape, scene.second.shape}
        # The first group is left of the second, or above it.
        axis = 1 if scene.relation == "left" else 0
        if scene.first.shape != scene.second.shape:
            first, second = (
                np.argwhere(labels == SCENE_CLASSES.index(group.shape))[:, axis].mean()
                for group in (scene.first, scene.second)
            )
            assert first < second


def test_objects_have_their_color() -> None:
    """Pixels of a mask have the color of its group, up to jitter and light."""
    red, blue = (world.COLORS[name] for name in ("red", "blue"))
    found = 0
    for index in range(60):
        pixels, objects = scenes.draw_with_masks(index, "val")
        for group, mask in objects:
            if group.color in ("red", "blue"):
                mean = pixels[mask == 1].mean(0)
                own, other = (red, blue) if group.color == "red" else (blue, red)
                assert np.abs(mean - own).sum() < np.abs(mean - other).sum()
                found += 1
    assert found > 10
