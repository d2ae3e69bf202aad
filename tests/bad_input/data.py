"""Data sets: missing, empty, truncated and too large files, other encodings and layouts."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from bad_input import Case

Break = Callable[[Path], object]


def picture(file: Path, size: tuple[int, int] = (16, 12)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise(size, 90).convert("RGB").save(file)


def huge_png(file: Path, side: int) -> None:
    """Write a PNG of 60 bytes whose header says ``side`` x ``side``."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT\0\0\0\0")


def folder(tmp: Path) -> Path:
    """The layout ``folder:DIR``: two splits of 16 photos."""
    for split in ("train", "val"):
        for index in range(16):
            picture(tmp / "d" / split / f"{index}.png")
        lines = [{"image": f"{i}.png", "captions": [f"photo {i}"]} for i in range(16)]
        (tmp / "d" / split / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp / "d"


def karpathy(tmp: Path, **first: Any) -> Path:
    images = [
        {"filename": f"{i}.jpg", "split": split, "sentences": [{"raw": f"photo {i}"}]}
        for i, split in enumerate(("train", "val"))
    ]
    images[0] |= first
    (tmp / "d").mkdir(exist_ok=True)
    (tmp / "d" / "dataset_x.json").write_text(json.dumps({"images": images}))
    for i in range(2):
        picture(tmp / "d" / f"{i}.jpg")
    return tmp / "d"


def voc(tmp: Path) -> Path:
    for split in ("train", "val"):
        picture(tmp / "d" / "JPEGImages" / f"{split}1.jpg")
        listing = tmp / "d" / "ImageSets" / "Segmentation" / f"{split}.txt"
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text(f"{split}1\n")
    (tmp / "d" / "captions_v1.json").write_text('{"train1": ["a"], "val1": ["b"]}')
    return tmp / "d"


def attributes(tmp: Path) -> Path:
    """The layout ``folder:DIR`` of diffusion: ten images of each of four conditions."""
    lines = ["file_name,shape,color"]
    for index in range(40):
        picture(tmp / "d" / f"{index}.png")
        lines.append(f"{index}.png,{'ab'[index % 2]},{'xy'[index // 2 % 2]}")
    (tmp / "d" / "metadata.csv").write_text("\n".join(lines))
    return tmp / "d"


def clevr(tmp: Path) -> Path:
    for number in range(8):
        for index in range(2):
            file = tmp / "d" / f"CLEVR_{number:03b}_{index}.png"
            picture(file)
            file.with_suffix(".json").write_text("[2.6, [0.9, 0.1, 0.1, 1.0]]")
    return tmp / "d"


def broken(layout: Callable[[Path], Path], damage: Break, message: str, more: str = "") -> Case:
    """A sweep over a valid data set after ``damage``."""
    task = "diffusion" if layout is clevr else "captioning"
    args = f"sweep {task} --data {layout.__name__}:TMP/d {more}".strip()
    return Case(args=args, message=message, prepare=lambda tmp: damage(layout(tmp)))


def put(name: str, content: str | bytes) -> Break:
    """Replace a file of the data set."""

    def damage(root: Path) -> None:
        blob = content.encode() if isinstance(content, str) else content
        (root / name).write_bytes(blob)

    return damage


def cut(name: str, size: int) -> Break:
    """Keep the first bytes of a file."""
    return lambda root: os.truncate(root / name, size)


def as_folder(name: str) -> Break:
    """A folder where a file should be."""

    def damage(root: Path) -> None:
        (root / name).unlink()
        (root / name).mkdir()

    return damage


def as_loop(name: str) -> Break:
    """A link to itself where a file should be."""

    def damage(root: Path) -> None:
        (root / name).unlink()
        (root / name).symlink_to(root / name)

    return damage


CAPTIONS = "val/captions.jsonl"
ONE = '{"image": "1.png", "captions": ["a"]}'
MORE_FIRST: list[tuple[dict[str, Any], str]] = [
    ({"filename": 3}, "image 0 is malformed: a name must be a nonempty string, but got 3"),
    ({"filename": ""}, "a name must be a nonempty string, but got ''"),
    ({"split": ["val"]}, "a name must be a nonempty string, but got ['val']"),
    ({"sentences": 3}, "image 0 is malformed: 'int' object is not iterable"),
    ({"sentences": [3]}, "image 0 is malformed: "),
    ({"sentences": [{"raw": 3}]}, "captions must be a string or a list of strings, but got [3]"),
    ({"sentences": [{"raw": " \n"}]}, "0.jpg has no caption; add one or remove the image"),
    ({"filename": "1.jpg", "split": "val"}, "duplicate id '1.jpg' in val"),
    ({"filepath": "elsewhere"}, "image missing: TMP/d/elsewhere/0.jpg; add the"),
]


def _first(more: dict[str, Any], message: str) -> Case:
    args = "sweep captioning --data karpathy:TMP/d"
    return Case(args=args, message=message, prepare=lambda tmp: karpathy(tmp, **more))


CASES = [
    # Names.
    Case(args="sweep captioning --data coco", message="--data takes scenes, scenes:pretrain"),
    Case(args="sweep captioning --data folder:", message="folder:DIR, but got 'folder:'"),
    Case(args="sweep captioning --data scenes:x", message="folder:DIR, but got 'scenes:x'"),
    Case(args="sweep captioning --data folder:TMP/none", message="no such folder: TMP/none; check"),
    Case(args="sweep captioning --data voc:~nobody9/x", message="~nobody9/x is not a folder"),
    Case(args="sweep captioning --data folder:" + "a/" * 3000, message="is not a folder: "),
    Case(args="sweep diffusion --data clevr:TMP/none", message="no such folder: TMP/none"),
    Case(
        args="sweep captioning --data folder:TMP/loop",
        prepare=lambda tmp: (tmp / "loop").symlink_to(tmp / "loop"),
        message="loop is not a folder: Too many levels of symbolic links",
    ),
    Case(
        args="sweep captioning --data folder:TMP",
        message="captions missing: no captions.jsonl under TMP; add one",
    ),
    Case(args="sweep captioning --data karpathy:TMP", message="must contain one dataset_*"),
    Case(args="sweep captioning --data voc:TMP", message="captions missing: TMP/captions_v1.json"),
    Case(args="sweep diffusion --data clevr:TMP", message="add all eight conditions"),
    *(
        Case(
            args=f"sweep {'diffusion' if make is clevr else 'captioning'} --data {given}",
            prepare=make,
            message=f"use --data {make.__name__}:TMP/d for this folder",
        )
        for make in (folder, karpathy, voc, clevr)
        for given in ("TMP/d", "photos:TMP/d")
    ),
    Case(args="sweep diffusion --data folder:TMP", message="TMP has no metadata.csv or metadata"),
    Case(
        args="sweep diffusion --data TMP/d",
        prepare=attributes,
        message="use --data folder:TMP/d for this folder",
    ),
    Case(
        args="sweep diffusion --data TMP", message="none of these layouts (clevr:DIR, folder:DIR)"
    ),
    Case(
        args="sweep diffusion --data folder:TMP/d --set unseen=a_z",
        prepare=attributes,
        message="TMP/d has no condition 'a_z'; choose of a_x, a_y, b_x, b_y",
    ),
    Case(
        args="sweep diffusion --data folder:TMP/d",
        prepare=lambda tmp: (attributes(tmp) / "3.png").unlink(),
        message="image missing: TMP/d/3.png; add the file or remove its line",
    ),
    Case(
        args="sweep diffusion --data folder:TMP/d",
        prepare=lambda tmp: (attributes(tmp) / "3.png").write_bytes(b"no image"),
        message="3.png is not a readable image",
    ),
    Case(
        args="sweep diffusion --set unseen=011",
        message="unseen=011 requires --data folder:DIR, because concepts has fixed",
    ),
    Case(args="sweep captioning --data TMP", message="TMP has none of these layouts (karpathy:DIR"),
    Case(args="sweep captioning --data ~nobody9/x", message="folder:DIR, but got '~nobody9/x'"),
    # A share of train as val.
    *(
        Case(args=f"sweep captioning --data folder:TMP/d,val={given}", prepare=folder, message=what)
        for given, what in (
            ("2", "takes a share above 0 and below 1 and a seed >= 0"),
            ("0", "such as DIR,val=0.1 or DIR,val=0.1,seed=1, but got ',val=0'"),
            ("nan", "but got ',val=nan'"),
            ("0.1,seed=x", "but got ',val=0.1,seed=x'"),
            ("0.1", "without a val split, but TMP/d has the splits train, val; remove ,val=0.1"),
        )
    ),
    Case(
        args="sweep captioning --data folder:TMP/d",
        prepare=lambda tmp: shutil.rmtree(folder(tmp) / "val"),
        message="has the splits train, but got 'val'; add ,val=0.1 to --data (folder:TMP/d,val=0.1",
    ),
    # Lists of captions.
    broken(folder, put(CAPTIONS, b"\xff\xfe"), "is not UTF-8; save it as UTF-8"),
    broken(folder, put(CAPTIONS, "nonsense"), "line 1: JSONDecodeError"),
    broken(folder, put(CAPTIONS, "3"), "line 1: TypeError"),
    broken(folder, put(CAPTIONS, '["1.png"]'), 'a line must be {"image": NAME, "captions": [TEXT'),
    broken(folder, put(CAPTIONS, '{"captions": ["a"]}'), "line 1: KeyError('image')"),
    broken(folder, put(CAPTIONS, '{"image": 3}'), "a name must be a nonempty string, but got 3"),
    broken(
        folder,
        put(CAPTIONS, '{"image": "1.png", "split": {}}'),
        "a name must be a nonempty string, but got {}",
    ),
    broken(folder, put(CAPTIONS, "[" * 100_000), "line 1: RecursionError"),
    broken(folder, put(CAPTIONS, '{"image": "1.png"}'), "1.png has no caption; add one or"),
    broken(folder, put(CAPTIONS, '{"image": "1.png", "captions": []}'), "1.png has no caption"),
    broken(folder, put(CAPTIONS, '{"image": "1.png", "caption": " "}'), "1.png has no caption"),
    broken(folder, put(CAPTIONS, '{"image": "1.png", "captions": [1]}'), "but got [1]"),
    broken(folder, put(CAPTIONS, '{"image": "1.png", "captions": {}}'), "but got {}"),
    broken(folder, put(CAPTIONS, f"{ONE}\n{ONE}"), "duplicate id '1.png' in val"),
    broken(
        folder, put(CAPTIONS, '{"image": "x.png", "caption": "a"}'), "image missing: TMP/d/val/x"
    ),
    broken(
        folder, put(CAPTIONS, '{"image": "\\u001b[2Jx", "caption": "a"}'), "TMP/d/val/?[2Jx; add"
    ),
    broken(
        folder, put(CAPTIONS, '{"image": "\\ud800", "caption": "a"}'), "must be a nonempty string"
    ),
    broken(
        folder, put(CAPTIONS, '{"image": "1.png", "caption": "\\ud800"}'), "a list of strings, but"
    ),
    broken(folder, put(CAPTIONS, '{"image": ".", "caption": "a"}'), "image is a folder: TMP/d/val"),
    broken(
        folder, put(CAPTIONS, '{"image": "a\\u0000", "caption": "a"}'), "must be a nonempty string"
    ),
    broken(folder, put(CAPTIONS, ""), "has the splits train, but got 'val'"),
    broken(
        folder,
        lambda r: [put(f"{s}/captions.jsonl", "")(r) for s in ("train", "val")],
        "TMP/d lists no images; ",
    ),
    broken(
        folder, as_folder(CAPTIONS), "captions.jsonl cannot be read: Is a directory; replace it"
    ),
    broken(folder, as_loop(CAPTIONS), "captions.jsonl cannot be read: Too many levels of symbolic"),
    broken(karpathy, put("dataset_x.json", "[1"), "is not valid JSON: "),
    broken(karpathy, put("dataset_x.json", "[" * 100_000), "fix or replace it"),
    broken(karpathy, put("dataset_x.json", "[]"), "is not in Karpathy's layout: it has no list"),
    broken(karpathy, put("dataset_x.json", '{"images": [3]}'), "image 0 is malformed"),
    broken(karpathy, put("dataset_x.json", '{"images": []}'), "TMP/d lists no images"),
    broken(karpathy, put("dataset_x.json", b"\xff"), "dataset_x.json is not UTF-8"),
    broken(karpathy, as_folder("dataset_x.json"), "dataset_x.json cannot be read"),
    broken(karpathy, put("dataset_y.json", "{}"), "dataset_*.json, but contains 2"),
    *(_first(*case) for case in MORE_FIRST),
    broken(voc, put("captions_v1.json", "[]"), "an object of captions by image"),
    broken(voc, put("captions_v1.json", "{}"), "train1 has no caption"),
    broken(voc, put("captions_v1.json", '{"train1": {}}'), "train1: captions must be a string"),
    broken(voc, put("ImageSets/Segmentation/val.txt", b"\xff\xff"), "val.txt is not UTF-8"),
    broken(voc, put("ImageSets/Segmentation/val.txt", ""), "has the splits train, but got 'val'"),
    broken(
        voc, lambda r: (r / "ImageSets/Segmentation/val.txt").unlink(), "list of images missing"
    ),
    # Photos: an invalid header is found before anything runs.
    broken(folder, lambda r: (r / "val/3.png").unlink(), "image missing: TMP/d/val/3.png; add the"),
    broken(folder, as_folder("val/3.png"), "image is a folder: TMP/d/val/3.png"),
    broken(folder, as_loop("val/3.png"), "image missing: TMP/d/val/3.png"),
    broken(folder, put("val/3.png", b""), "3.png is not a readable image (it is empty); replace"),
    broken(folder, put("val/3.png", "GIF89a but not really"), "3.png is not a readable image"),
    broken(
        folder, put("train/3.png", b"\0" * 999), "d/train/3.png is not a readable image; replace"
    ),
    broken(folder, cut("val/3.png", 20), "3.png is not a readable image"),
    broken(folder, lambda r: huge_png(r / "val/3.png", 12_000), "more than 89,478,485 pixels"),
    broken(folder, lambda r: huge_png(r / "val/3.png", 60_000), "resize or remove it"),
    broken(karpathy, cut("1.jpg", 2), "1.jpg is not a readable image"),
    broken(voc, put("JPEGImages/val1.jpg", b"\xff\xd8\xff"), "val1.jpg is not a readable image"),
    broken(clevr, lambda r: [f.unlink() for f in r.glob("CLEVR_111_*.png")], "no CLEVR_111_N.png;"),
    broken(clevr, lambda r: (r / "CLEVR_000_0.json").unlink(), "CLEVR_000_0.json is missing; add"),
    broken(clevr, put("CLEVR_000_0.json", "{}"), "must be [size, [r, g, b, a], ...]: "),
    broken(clevr, put("CLEVR_000_0.json", "[2, [1, 2]]"), "size, r, g and b must be finite"),
    broken(clevr, put("CLEVR_000_0.json", "[NaN, [1, 1, 1]]"), "finite numbers; fix it"),
    broken(clevr, put("CLEVR_000_0.json", b"\xff"), "CLEVR_000_0.json must be"),
    broken(
        clevr, put("CLEVR_010_1.png", b""), "CLEVR_010_1.png is not a readable image (it is empty)"
    ),
]
