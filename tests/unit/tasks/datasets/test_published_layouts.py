"""``coco:DIR`` and ``flickr:DIR``: the files as they are published."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from captioned_layouts import coco, coco_karpathy, flickr, write_image

from tasks.contract import DataError
from tasks.datasets import registry
from tasks.datasets.layouts import detect_layout


def test_coco_reads_each_split_of_a_year(tmp_path: Path) -> None:
    name = f"coco:{coco(tmp_path)}"
    val = registry.load_split(name, "val")
    assert val.image_ids == ("val0.png", "val1.png")
    assert val.captions == (("val 0 is 0",), ("val 1 is 0", "val 1 is 1"))
    assert val.load(1).getpixel((0, 0)) == (1, 0, 0)
    assert registry.load_image(name, "train", "train1.png").getpixel((0, 0)) == (1, 0, 0)


def test_coco_finds_images_in_a_common_folder(tmp_path: Path) -> None:
    root = coco(tmp_path)
    before = registry.load_split(f"coco:{root}", "val").captions
    for split in ("train2017", "val2017"):
        shutil.move(root / split, root / "images" / split)
    assert registry.resolve(f"coco:{root}").fingerprint
    assert registry.load_split(f"coco:{root}", "val").captions == before


def test_coco_prefers_the_splits_of_karpathy(tmp_path: Path) -> None:
    root = coco_karpathy(tmp_path)
    name = registry.resolve(f"coco:{root}").name
    assert registry.load_split(name, "train").image_ids == ("val0.png",)
    assert registry.load_split(name, "test").load(0).getpixel((0, 0)) == (1, 0, 0)
    published = registry.load_split(f"{name},year=2014", "train")
    assert published.image_ids == ("train0.png", "train1.png")


def test_coco_of_two_years_asks_for_one(tmp_path: Path) -> None:
    root = coco(coco(tmp_path).parent, "2014")
    with pytest.raises(DataError, match=r"captions of 2014 and 2017; choose one: coco:.*,year=201"):
        registry.resolve(f"coco:{root}")
    sources = [registry.resolve(f"coco:{root},year={year}") for year in ("2014", "2017")]
    assert len({source.fingerprint for source in sources}) == 2


def test_flickr8k_has_the_splits_of_its_lists(tmp_path: Path) -> None:
    name = f"flickr:{flickr(tmp_path)}"
    val = registry.load_split(name, "val")
    assert val.image_ids == ("2.jpg", "3.jpg")
    assert val.captions[0] == ("image 2 , 0", "image 2 , 1")
    assert val.load(1).getpixel((0, 0)) == (3, 0, 0)


def test_flickr_lists_that_share_an_image_are_refused(tmp_path: Path) -> None:
    root = flickr(tmp_path)
    with (root / "Flickr_8k.devImages.txt").open("a") as file:
        file.write("0.jpg\n")
    with pytest.raises(DataError, match=r"0\.jpg is in train and val; remove it from one"):
        registry.resolve(f"flickr:{root}")


CAPTIONS = {
    "results_20130124.token": '1.jpg#0\ta dog, "big"\n1.jpg#1\ta\u2028cat\n',
    "captions.txt": 'image,caption\n1.jpg,"a dog, ""big"""\n1.jpg,a\x85cat\n',
    "results.csv": (
        'image_name| comment_number| comment\n1.jpg| 0| a dog, "big"\n1.jpg| 1   a\u2028cat\n'
    ),
}


@pytest.mark.parametrize("file", CAPTIONS)
def test_each_file_of_flickr_captions_says_the_same(file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(CAPTIONS[file], encoding="utf-8")
    write_image(tmp_path / "flickr30k-images" / "1.jpg")
    train = registry.load_split(f"flickr:{tmp_path}", "train")
    assert train.captions == (('a dog, "big"', "a cat"),)
    with pytest.raises(DataError, match=r"add ,val=0\.1 to --data \(flickr:.*,val=0\.1\)"):
        registry.load_split(f"flickr:{tmp_path}", "val")
    assert detect_layout(tmp_path) == "flickr"


def test_flickr30k_prefers_the_splits_of_karpathy(tmp_path: Path) -> None:
    root = flickr(tmp_path)
    image = {"filename": "1.jpg", "split": "test", "sentences": [{"raw": "one"}]}
    (root / "dataset_flickr30k.json").write_text(json.dumps({"images": [image]}))
    assert registry.load_split(f"flickr:{root}", "test").captions == (("one",),)
    with pytest.raises(DataError, match="has the splits test, but got 'val'"):
        registry.load_split(f"flickr:{root}", "val")


def test_share_of_an_unsplit_flickr_is_held_out(tmp_path: Path) -> None:
    name = f"flickr:{flickr(tmp_path, listed=False)},val=0.25"
    train, val = (registry.load_split(name, split) for split in ("train", "val"))
    assert sorted([*train.image_ids, *val.image_ids]) == [f"{n}.jpg" for n in range(4)]
    assert len(val) == 1


@pytest.mark.parametrize("make", [coco, flickr])
def test_fingerprint_depends_on_content_alone(make: Callable[[Path], Path], tmp_path: Path) -> None:
    first, moved = make(tmp_path / "a"), make(tmp_path / "b")
    layout = make.__name__
    sources = [registry.resolve(f"{layout}:{root}") for root in (first, moved)]
    assert sources[0].content() == sources[1].content()
    image = next(moved.glob("*/*[13].*g"))
    write_image(image, 200)
    assert registry.resolve(f"{layout}:{moved}").fingerprint != sources[0].fingerprint
