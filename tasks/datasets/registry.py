"""From ``--data`` to a data set: its fingerprint, and its splits."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tasks.contract import DataError, Source
from tasks.datasets import scenes
from tasks.datasets.base import Split
from tasks.datasets.files import Photos, check_photo, find_root, read_photos
from tasks.fingerprint import fingerprint_files

KINDS = ("karpathy", "voc", "folder")
NAMES = "scenes, scenes:pretrain, karpathy:DIR, voc:DIR, folder:DIR"


@lru_cache(maxsize=8)
def _photos(kind: str, folder: str) -> Photos:
    return read_photos(kind, Path(folder))


def _parse(name: str) -> tuple[str, str]:
    kind, _, rest = name.partition(":")
    if kind == "scenes" and rest in ("", "pretrain", "sweep"):
        return kind, rest or "sweep"
    if kind in KINDS and rest:
        return kind, str(find_root(rest))
    raise DataError(f"--data takes {NAMES}, but got {name!r}")


def resolve(name: str) -> Source:
    """Check the data set and take its fingerprint: a folder's name becomes absolute.

    Raises:
        DataError: if there is none of that name, or it is damaged.
    """
    kind, rest = _parse(name)
    if kind == "scenes":
        return Source(name=name, fingerprint=scenes.fingerprint())
    photos = _photos(kind, rest)
    files = {file for split in photos.splits.values() for _, file, _ in split}
    fingerprint = fingerprint_files(
        photos.root, photos.files(), lambda file: check_photo(file) if file in files else None
    )
    return Source(name=f"{kind}:{rest}", fingerprint=fingerprint)


def load_split(name: str, split: str) -> Split:
    """A split of the data set.

    Raises:
        DataError: if there is no such split.
    """
    kind, rest = _parse(name)
    return scenes.load_split(split, rest) if kind == "scenes" else _photos(kind, rest).split(split)
