"""Find the data set with masks that ``--data`` names, its fingerprint and its splits."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tasks.contract import DataError, Source, content_id
from tasks.datasets import scenes
from tasks.datasets.files import check_photo, find_root
from tasks.datasets.final_split import check_final_split
from tasks.datasets.holdout import Holdout, parse_holdout
from tasks.fingerprint import fingerprint_files
from tasks.segmentation.layouts import MaskedPhotos, check_mask, read_layout
from tasks.segmentation.masked import MaskedSplit, load_scenes

SCENES = "scenes"
LAYOUTS = ("voc", "ade20k", "folder")
FORMS = (
    "scenes (built in, drawn), voc:DIR (PASCAL VOC), ade20k:DIR (ADEChallengeData2016) or "
    "folder:DIR (train/images, train/masks, classes.txt); without a val split: folder:DIR,val=0.1"
)


@lru_cache(maxsize=8)
def _photos(layout: str, folder: str, holdout: Holdout | None) -> MaskedPhotos:
    photos = read_layout(layout, Path(folder))
    return photos if holdout is None else photos.hold_out(holdout)


def _parse(name: str) -> tuple[str, str, Holdout | None]:
    layout, _, rest = name.partition(":")
    if layout in LAYOUTS and rest:
        folder, holdout = parse_holdout(rest)
        return layout, str(find_root(folder)), holdout
    raise DataError(f"--data takes scenes, voc:DIR, ade20k:DIR or folder:DIR, but got {name!r}")


def resolve(name: str) -> Source:
    """Check the data set, make a folder's path absolute, and compute the fingerprint.

    Raises:
        DataError: if the data set does not exist or is damaged.
    """
    if name == SCENES:
        return Source(name=name, fingerprint=scenes.fingerprint())
    layout, folder, holdout = _parse(name)
    _photos.cache_clear()  # the files may have changed since an earlier sweep of this process
    photos = _photos(layout, folder, holdout)
    entries = [entry for split in photos.splits.values() for entry in split]
    checks = {e.image: check_photo for e in entries} | {e.mask: check_mask for e in entries}
    fingerprint = fingerprint_files(
        photos.root, photos.files(), lambda file: checks[file](file) if file in checks else None
    )
    if holdout is None:
        return Source(name=f"{layout}:{folder}", fingerprint=fingerprint)
    shown = f"{layout}:{folder}{holdout}"
    return Source(name=shown, fingerprint=content_id([fingerprint, str(holdout)]))


def load_split(name: str, split: str) -> MaskedSplit:
    """Return a split of the data set.

    Raises:
        DataError: if there is no such split.
    """
    return load_scenes(split) if name == SCENES else _photos(*_parse(name)).split(split)


def check_final(name: str, split: str, *, chosen_on: str) -> None:
    """Raise an error if ``--final`` cannot use a split.

    Raises:
        DataError: if the data has no such split, or the sweep has used it already.
    """
    known = list(scenes.splits()) if name == SCENES else list(_photos(*_parse(name)).splits)
    check_final_split(name, split, known, chosen_on=chosen_on)
