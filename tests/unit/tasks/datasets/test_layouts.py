"""Captioned photos on disk: each layout as published, and every error in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tasks.contract import DataError
from tasks.datasets import registry


def photo(file: Path, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(file)


def karpathy(root: Path, **more: Any) -> None:
    """Two images as in dataset_coco.json, with a filepath and a split named restval."""
    images = [
        {
            "filepath": "val2014",
            "filename": f"{number}.jpg",
            "split": split,
            "sentences": [{"raw": f"photo {number}\n told {k}"} for k in range(number)],
        }
        for number, split in ((1, "restval"), (2, "test"))
    ]
    images[0] |= more
    root.mkdir(exist_ok=True)
    (root / "dataset_coco.json").write_text(json.dumps({"images": images}))
    for number in (1, 2):
        photo(root / "val2014" / f"{number}.jpg")


def voc(root: Path, captions: Any = None) -> None:
    for split, number in (("train", 1), ("val", 2)):
        listing = root / "ImageSets" / "Segmentation" / f"{split}.txt"
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text(f"2007_{number}\n")
        photo(root / "JPEGImages" / f"2007_{number}.jpg")
    texts = {"2007_1": "one", "2007_2": ["two", "zwei"]} if captions is None else captions
    (root / "captions_v1.json").write_text(json.dumps(texts))


def folder(root: Path, *lines: str) -> None:
    photo(root / "train" / "a.png", mode="P")
    photo(root / "train" / "b.png", mode="L")
    texts = lines or (
        '{"image": "a.png", "captions": ["an a"]}',
        "",
        '{"image":"b.png","caption":"b\u2028c"}',
    )
    (root / "train" / "captions.jsonl").write_text("\n".join(texts), encoding="utf-8")


def test_karpathy_layout(tmp_path: Path) -> None:
    karpathy(tmp_path)
    train = registry.load_split(f"karpathy:{tmp_path}", "train")
    assert train.captions == (("photo 1 told 0",),)
    test = registry.load_split(f"karpathy:{tmp_path}", "test")
    assert [len(texts) for texts in test.captions] == [2]
    assert (test.load(0).mode, test.load(0).size) == ("RGB", (8, 6))


def test_voc_layout(tmp_path: Path) -> None:
    voc(tmp_path)
    val = registry.load_split(f"voc:{tmp_path}", "val")
    assert (val.image_ids, val.captions) == (("2007_2",), (("two", "zwei"),))
    with pytest.raises(DataError, match="has the splits train, val, but got 'test'"):
        registry.load_split(f"voc:{tmp_path}", "test")


def test_folder_layout(tmp_path: Path) -> None:
    folder(tmp_path)
    train = registry.load_split(f"folder:{tmp_path}", "train")
    assert train.captions == (("an a",), ("b c",))
    assert {train.load(index).mode for index in range(2)} == {"RGB"}


def test_fingerprint_covers_photos_and_captions(tmp_path: Path) -> None:
    folder(tmp_path / "one")
    seen = set()
    for change in range(3):
        if change == 1:
            photo(tmp_path / "one" / "train" / "a.png", size=(9, 6))
        if change == 2:
            folder(tmp_path / "one", '{"image": "a.png", "captions": ["another"]}')
        seen.add(registry.resolve(f"folder:{tmp_path}/one").fingerprint)
    assert len(seen) == 3
    train = registry.load_split(f"folder:{tmp_path}/one", "train")
    assert train.captions == (("another",),)  # not those that this process read first


def test_the_shared_photos(flickr: Path) -> None:
    for split, number in (("train", 1000), ("val", 100), ("test", 400)):
        read = registry.load_split(f"karpathy:{flickr}", split)
        assert len(read) == number
        assert {len(texts) for texts in read.captions} == {5}
    assert (read.load(0).mode, read.load(0).size) == ("RGB", (224, 224))


def cut(file: Path, number: int) -> None:
    Image.effect_noise((64, 64), 90).save(file)
    file.write_bytes(file.read_bytes()[:number])


Break = Callable[[Path], object]
KARPATHY: list[tuple[Break, str]] = [
    (
        lambda r: (r / "dataset_coco.json").unlink(),
        r"must contain one dataset_\*.json, but contains 0",
    ),
    (lambda r: (r / "dataset_b.json").write_text("{}"), "but contains 2"),
    (lambda r: (r / "dataset_coco.json").write_text("[1"), "not valid JSON"),
    (lambda r: (r / "dataset_coco.json").write_bytes(b"\xff\xfe\x00"), "is not UTF-8"),
    (lambda r: (r / "dataset_coco.json").write_text("[]"), "not in Karpathy's layout"),
    (lambda r: karpathy(r, sentences=[]), "1.jpg has no caption; add one or remove the image"),
    (lambda r: karpathy(r, sentences=[{"raw": "  "}]), "1.jpg has no caption"),
    (lambda r: karpathy(r, sentences=[{"raw": 3}]), "a string or a list of strings"),
    (lambda r: karpathy(r, sentences=[{"tokens": []}]), "image 0 lacks 'raw'"),
    (lambda r: karpathy(r, sentences=None), "image 0 is malformed"),
    (lambda r: karpathy(r, filename="2.jpg", split="test"), "duplicate id '2.jpg' in test"),
    (lambda r: (r / "val2014" / "1.jpg").unlink(), "image missing: .*1.jpg"),
]
VOC: list[tuple[Break, str]] = [
    (lambda r: (r / "captions_v1.json").unlink(), "captions missing"),
    (lambda r: voc(r, []), "an object of captions by image"),
    (lambda r: voc(r, {"2007_1": "one"}), "2007_2 has no caption"),
    (lambda r: voc(r, {"2007_1": {"a": 1}, "2007_2": "b"}), "a string or a list of strings"),
    (lambda r: (r / "ImageSets/Segmentation/val.txt").unlink(), "list of images missing"),
    (lambda r: (r / "JPEGImages/2007_1.jpg").unlink(), "image missing"),
]
FOLDER: list[tuple[Break, str]] = [
    (lambda r: (r / "train/captions.jsonl").unlink(), "no captions.jsonl under"),
    (lambda r: (r / "train/captions.jsonl").write_bytes(b"\xff\xfe"), "is not UTF-8"),
    (lambda r: folder(r, "nonsense"), "captions.jsonl, line 1"),
    (lambda r: folder(r, "", '{"captions": ["a"]}'), "line 2: KeyError.'image'"),
    (lambda r: folder(r, '["a.png"]'), "line 1"),
    (lambda r: folder(r, '{"image": "a.png"}'), "a.png has no caption"),
    (lambda r: folder(r, '{"image": "a.png", "captions": [1]}'), "a string or a list of strings"),
    (lambda r: folder(r, '{"image": "c.png", "caption": "c"}'), "image missing: .*c.png"),
    (
        lambda r: folder(r, *['{"image": "a.png", "caption": "c"}'] * 2),
        "duplicate id 'a.png' in train",
    ),
    (
        lambda r: folder(
            r,
            '{"image": "a.png", "caption": "c"}',
            '{"image": "../train/a.png", "split": "val", "caption": "c"}',
        ),
        "a.png is in train and val; remove it from one",
    ),
]
ALL = [(karpathy, *c) for c in KARPATHY] + [(voc, *c) for c in VOC] + [(folder, *c) for c in FOLDER]


@pytest.mark.parametrize(("layout", "broken", "message"), ALL)
def test_invalid_layout_is_refused(
    layout: Callable[[Path], None], broken: Break, message: str, tmp_path: Path
) -> None:
    layout(tmp_path)
    name = f"{layout.__name__}:{tmp_path}"
    registry.resolve(name)
    broken(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        registry.resolve(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.write_bytes(b""), "is not a readable image"),
        (lambda file: file.write_bytes(b"GIF89a but not really"), "is not a readable image"),
        (lambda file: cut(file, 900), "is not a readable image"),
        (lambda file: file.unlink(), "image missing"),
    ],
)
def test_damaged_photo_is_named(damage: Break, message: str, tmp_path: Path) -> None:
    folder(tmp_path)
    split = registry.load_split(f"folder:{tmp_path}", "train")
    damage(tmp_path / "train" / "a.png")
    with pytest.raises(DataError, match=message) as caught:
        split.load(0)
    assert "a.png" in str(caught.value)
