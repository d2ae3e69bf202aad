"""Data sets with masks: their layouts, and errors that name the file and the fix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from masked_folders import draw_masked_folder, save_mask, save_voc, scene_photos
from paths import SHARED
from PIL import Image

from tasks.contract import DataError
from tasks.segmentation import registry
from tasks.segmentation.layouts import NUM_ADE_CLASSES, VOC_CLASSES
from tasks.segmentation.masked import IGNORE, SCENE_CLASSES

PHOTOS = SHARED / "flickr8k-mini" / "images"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return draw_masked_folder(tmp_path, train=3, val=2)


def test_folder_holds_what_was_drawn(folder: Path) -> None:
    name = f"folder:{folder}"
    split = registry.load_split(name, "val")
    drawn = registry.load_split("scenes", "val")
    assert split.classes == SCENE_CLASSES
    assert split.image_ids == ("0", "1")
    for index in range(2):
        np.testing.assert_array_equal(split.load(index), drawn.load(index))
        np.testing.assert_array_equal(split.load_mask(index), drawn.load_mask(index))


def test_fingerprint_changes_with_a_mask_but_not_with_the_place(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first = registry.resolve(f"folder:{folder}").fingerprint
    copy = draw_masked_folder(tmp_path_factory.mktemp("copy"), train=3, val=2)
    assert registry.resolve(f"folder:{copy}").fingerprint == first
    save_mask(np.ones((64, 64), np.uint8), copy / "val" / "masks" / "0.png")
    assert registry.resolve(f"folder:{copy}").fingerprint != first


def check_voc(folder: Path, number: int) -> None:
    split = registry.load_split(f"voc:{folder}", "train")
    assert split.classes == VOC_CLASSES
    assert len(split) == number
    for index in range(number):
        image, mask = split.load(index), split.load_mask(index)
        assert mask.shape == (image.height, image.width)
        labels = set(np.unique(mask).tolist())
        assert {0, IGNORE} < labels
        assert labels <= {*range(21), IGNORE}
    assert len(registry.load_split(f"voc:{folder}", "val")) == 2
    assert registry.resolve(f"voc:{folder}").name == f"voc:{folder}"


def test_voc_layout(tmp_path: Path) -> None:
    check_voc(save_voc(tmp_path, scene_photos(tmp_path, 5), num_val=2), 3)


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="needs the shared photos")
def test_voc_layout_of_photos(tmp_path: Path) -> None:
    check_voc(save_voc(tmp_path, sorted(PHOTOS.glob("*.jpg"))[:8], num_val=2), 6)


def test_ade20k_ignores_zero_and_counts_from_one(tmp_path: Path) -> None:
    for folder in ("training", "validation"):
        image = tmp_path / "images" / folder / "a.jpg"
        image.parent.mkdir(parents=True)
        Image.new("RGB", (4, 2)).save(image)
        mask = np.array([[0, 1, 2, 150], [1, 1, 1, 0]], np.uint8)
        save_mask(mask, tmp_path / "annotations" / folder / "a.png")
    split = registry.load_split(f"ade20k:{tmp_path}", "val")
    assert len(split.classes) == NUM_ADE_CLASSES
    assert split.load_mask(0).tolist() == [[IGNORE, 0, 1, 149], [0, 0, 0, IGNORE]]
    rows = [f"{n}\t0.1\t1\t2\t{'door' if n > 148 else f'name{n}'}, other" for n in range(1, 151)]
    (tmp_path / "objectInfo150.txt").write_text("\n".join(["Idx\tRatio\tTrain\tVal\tName", *rows]))
    registry.resolve(f"ade20k:{tmp_path}")  # which reads the changed files
    classes = registry.load_split(f"ade20k:{tmp_path}", "val").classes
    assert classes[0] == "name1"
    assert classes[-2:] == ("door 149", "door 150")  # equal names stay apart


def test_holdout_takes_images_of_train(tmp_path: Path) -> None:
    draw_masked_folder(tmp_path, train=8, val=0)
    name = f"folder:{tmp_path},val=0.25"
    assert len(registry.load_split(name, "train")) == 6
    assert len(registry.load_split(name, "val")) == 2
    assert registry.resolve(name).fingerprint != registry.resolve(f"folder:{tmp_path}").fingerprint


def test_data_errors_name_the_file_and_the_fix(folder: Path) -> None:
    name = f"folder:{folder}"

    def error() -> str:
        try:
            registry.resolve(name)
            registry.load_split(name, "val").load_mask(0)
        except DataError as error:
            return str(error)
        return "no error"

    mask = folder / "val" / "masks" / "0.png"
    saved = mask.read_bytes()
    save_mask(np.full((64, 64), 11, np.uint8), mask)
    assert "has the label 11, but there are 11 classes" in error()
    save_mask(np.zeros((32, 64), np.uint8), mask)
    assert "has 64 x 32 pixels, but its image 64 x 64" in error()
    Image.new("RGB", (64, 64)).save(mask)
    assert "has the mode RGB" in error()
    mask.write_bytes(b"no picture")
    assert "is not a readable mask" in error()
    mask.unlink()
    assert f"mask missing: {mask}" in error()
    mask.write_bytes(saved)
    (folder / "classes.txt").write_text("one\none\n")
    assert "2 to 255 different names" in error()
    (folder / "classes.txt").unlink()
    assert "list of classes missing" in error()


@pytest.mark.parametrize("name", ["photos", "karpathy:x", "voc:", "scenes:pretrain"])
def test_unknown_data_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="--data takes scenes, voc:DIR"):
        registry.resolve(name)


def test_duplicate_ids_are_refused(folder: Path) -> None:
    images = folder / "val" / "images"
    Image.open(images / "0.png").convert("RGB").save(images / "0.jpg")
    with pytest.raises(DataError, match="duplicate id '0' in val; remove one of them"):
        registry.load_split(f"folder:{folder}", "val")


def test_blank_lines_are_no_class(folder: Path) -> None:
    listing = folder / "classes.txt"
    listing.write_text(listing.read_text().replace("\n", "\n  \n", 1))
    assert registry.load_split(f"folder:{folder}", "val").classes == SCENE_CLASSES


def test_classes_with_the_same_column_are_refused(folder: Path) -> None:
    (folder / "classes.txt").write_text("background\ntraffic light\ntraffic_light\n")
    message = "the classes 'traffic light' and 'traffic_light' would have the same column"
    with pytest.raises(DataError, match=message):
        registry.load_split(f"folder:{folder}", "val")


def test_voc_test_list_without_masks_is_no_split(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    folder = save_voc(tmp_path / "voc", scene_photos(tmp_path / "photos", 4), num_val=2)
    (folder / "ImageSets" / "Segmentation" / "test.txt").write_text("2008_000006\n")
    assert len(registry.load_split(f"voc:{folder}", "val")) == 2
    with pytest.raises(DataError, match="has only the splits train, val; add test"):
        registry.check_final(f"voc:{folder}", "test", chosen_on="val")


def test_final_needs_an_unused_split(folder: Path) -> None:
    with pytest.raises(DataError, match="has only the splits train, val"):
        registry.check_final(f"folder:{folder}", "test", chosen_on="val")
    with pytest.raises(DataError, match="already chooses the best row"):
        registry.check_final("scenes", "val", chosen_on="val")
    registry.check_final("scenes", "test", chosen_on="val")
