"""Captioned images in the files of a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tasks.contract import DataError
from tasks.datasets.base import CaptionedImages, Splits, check_entries
from tasks.datasets.files import check_photo, read_photo
from tasks.fingerprint import fingerprint_files

Photos = CaptionedImages[Path]


def make_photos(name: str, root: Path, index: Sequence[Path], splits: Splits[Path]) -> Photos:
    """Check that all images exist, have a caption and are in one split, and return a data set.

    Args:
        name: the data set, as --data takes it.
        root: its folder.
        index: the files that list images and captions.
        splits: the images of each split.

    Raises:
        DataError: the message names the image.
    """
    split_by_file: dict[str, str] = {}
    for split, entries in splits.items():
        check_entries(root, split, entries)
        for _, file, _ in entries:
            if not file.is_file():
                what = "is a folder" if file.is_dir() else "missing"
                raise DataError(f"{root}: image {what}: {file}; add the file or remove its entry")
            other = split_by_file.setdefault(os.path.normpath(file), split)
            if other != split:
                raise DataError(f"{root}: {file} is in {other} and {split}; remove it from one")
    if not any(splits.values()):
        files = ", ".join(map(str, index))
        raise DataError(f"{root} lists no images; add them to {files}")
    images = {file for entries in splits.values() for _, file, _ in entries}

    def check(file: Path) -> None:
        if file in images:
            check_photo(file)

    return CaptionedImages(
        name=name,
        root=str(root),
        splits=splits,
        read=read_photo,
        compute_fingerprint=lambda: fingerprint_files(root, [*index, *images], check),
    )
