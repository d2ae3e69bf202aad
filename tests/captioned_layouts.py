"""Tiny data sets in the layouts ``coco:``, ``flickr:``, ``webdataset:`` and ``hub:``."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

SPLITS = ("train", "val")


def encoded(number: int = 0, kind: str = "PNG") -> bytes:
    """The file of an image of 16 x 12 pixels, whose red is ``number``."""
    stream = io.BytesIO()
    Image.new("RGB", (16, 12), (number, 0, 0)).save(stream, kind)
    return stream.getvalue()


def write_image(file: Path, number: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(encoded(number))


def coco(tmp: Path, year: str = "2017", num_images: int = 2) -> Path:
    """The published folders: image n of a split has n + 1 captions."""
    root = tmp / "d"
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        numbers = range(num_images)
        content = {
            "images": [{"id": 7 * n, "file_name": f"{split}{n}.png"} for n in numbers],
            "annotations": [
                {"id": 10 * n + k, "image_id": 7 * n, "caption": f"{split} {n} is  {k}\n"}
                for n in numbers
                for k in range(n + 1)
            ],
        }
        (root / "annotations" / f"captions_{split}{year}.json").write_text(json.dumps(content))
        for n in numbers:
            write_image(root / f"{split}{year}" / f"{split}{n}.png", n)
    return root


def coco_karpathy(tmp: Path) -> Path:
    """The published folders with Karpathy's splits, which use images of val2014 to train."""
    root = coco(tmp, "2014")
    images = [
        {
            "filepath": "val2014",
            "filename": f"val{n}.png",
            "split": split,
            "sentences": [{"raw": f"image {n}"}],
        }
        for n, split in enumerate(("restval", "test"))
    ]
    (root / "annotations" / "dataset_coco.json").write_text(json.dumps({"images": images}))
    return root


def flickr(tmp: Path, *, listed: bool = True, num_images: int = 4) -> Path:
    """Flickr8k's names: two captions per image, and lists of the splits."""
    root = tmp / "d"
    lines = [f"{n}.jpg#{k}\timage {n} , {k}" for n in range(num_images) for k in range(2)]
    for n in range(num_images):
        write_image(root / "Flicker8k_Dataset" / f"{n}.jpg", n)
    (root / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n")
    if listed:
        half = num_images // 2
        for name, numbers in (("train", range(half)), ("dev", range(half, num_images))):
            names = "".join(f"{n}.jpg\n" for n in numbers)
            (root / f"Flickr_8k.{name}Images.txt").write_text(names)
    return root


def write_shard(file: Path, members: Iterable[tuple[str | tarfile.TarInfo, bytes]]) -> Path:
    """Write a tar file; a member is given by its name, or by its whole header."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file


def webdataset(tmp: Path, num_images: int = 2) -> Path:
    """Two shards of train with texts, and one of val with JSON."""
    root = tmp / "d"
    for shard in range(2):
        samples = [
            member
            for n in range(num_images)
            for member in (
                (f"{n:04}.jpg", encoded(n, "JPEG")),
                (f"{n:04}.txt", f"shard {shard} image {n}\nagain\n".encode()),
            )
        ]
        write_shard(root / f"x-train-{shard:03}.tar", samples)
    samples = [
        member
        for n in range(num_images)
        for member in (
            (f"a/{n}.v1.json", b"3"),  # another use of the key
            (f"a/{n}.json", json.dumps({"caption": f"val {n}", "url": "x"}).encode()),
            (f"a/{n}.WEBP", encoded(n, "WEBP")),
        )
    ]
    write_shard(root / "x-val-000.tar", samples)
    return root


def hub_rows(num_images: int, first: int = 0, **more: Any) -> dict[str, list[Any]]:
    """The columns of a split of the Hub: images from a number on, and two captions each."""
    numbers = range(first, first + num_images)
    return {
        "image": [{"bytes": encoded(n), "path": None} for n in numbers],
        "caption": [[f"image {n}", f"again {n}"] for n in numbers],
        **more,
    }


def hub_table(rows: dict[str, list[Any]]) -> Any:
    """A ``Dataset`` whose column ``image`` has the type Image."""
    import datasets

    return datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image())


def hub(tmp: Path, num_images: int = 2, **splits: dict[str, list[Any]]) -> Path:
    """A repository of the Hub: Parquet files of train and validation, or of ``splits``."""
    root = tmp / "d"
    root.mkdir(parents=True, exist_ok=True)
    given = splits or {"train": hub_rows(num_images), "validation": hub_rows(num_images, 100)}
    for name, rows in given.items():
        hub_table(rows).to_parquet(str(root / f"{name}-00000-of-00001.parquet"))
    return root
