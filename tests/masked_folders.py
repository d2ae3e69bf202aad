"""Small data sets of images with masks, in the layouts that segmentation reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.datasets import scenes
from tasks.segmentation.masked import SCENE_CLASSES, load_scenes
from tasks.segmentation.pictures import palette

Mask = NDArray[np.uint8]


def save_mask(mask: Mask, file: Path) -> None:
    """Save a mask with PASCAL VOC's palette."""
    image = Image.fromarray(mask, mode="P")
    image.putpalette(palette().astype(np.uint8).ravel().tolist())
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file)


def draw_masked_folder(folder: Path, *, train: int, val: int, test: int = 0) -> Path:
    """Scenes and their masks in the layout ``folder:DIR``."""
    folder.mkdir(exist_ok=True)
    (folder / "classes.txt").write_text("\n".join(SCENE_CLASSES))
    for split, number in (("train", train), ("val", val), ("test", test)):
        drawn = load_scenes(split)
        for index in range(number):
            image = folder / split / "images" / f"{index}.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            drawn.load(index).save(image)
            save_mask(drawn.load_mask(index), folder / split / "masks" / f"{index}.png")
    return folder


def draw_ellipses(height: int, width: int, seed: int) -> Mask:
    """A mask of two ellipses of random classes of VOC, each with a border that is ignored."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[:height, :width]
    mask = np.zeros((height, width), np.uint8)
    for _ in range(2):
        label = int(rng.integers(1, 21))
        center, radius = rng.uniform(0.2, 0.8, 2), rng.uniform(0.1, 0.3, 2)
        distance = np.hypot(
            (y / height - center[0]) / radius[0], (x / width - center[1]) / radius[1]
        )
        mask[distance < 1.1] = 255
        mask[distance < 1] = label
    return mask


def save_voc(folder: Path, photos: list[Path], *, num_val: int) -> Path:
    """Photos in VOC's layout, with drawn masks. The last ``num_val`` are val."""
    names = [photo.stem for photo in photos]
    for number, photo in enumerate(photos):
        (folder / "JPEGImages").mkdir(parents=True, exist_ok=True)
        (folder / "JPEGImages" / f"{photo.stem}.jpg").write_bytes(photo.read_bytes())
        with Image.open(photo) as image:
            mask = draw_ellipses(image.height, image.width, number)
        save_mask(mask, folder / "SegmentationClass" / f"{photo.stem}.png")
    lists = folder / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("\n".join(names[:-num_val]) + "\n")
    (lists / "val.txt").write_text("\n".join(names[-num_val:]) + "\n")
    return folder


def scene_photos(folder: Path, number: int) -> list[Path]:
    """Scenes as JPEG files of different sizes, in place of photos."""
    drawn = scenes.load_split("train")
    files = []
    for index in range(number):
        files.append(folder / f"photo{index}.jpg")
        drawn.load(index).resize((96 + 8 * index, 72)).save(files[-1])
    return files
