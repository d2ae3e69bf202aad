"""Find the data set that ``--data`` names, its fingerprint and its splits."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PIL import Image

from tasks.contract import DataError, Source, content_id
from tasks.datasets import scenes
from tasks.datasets.base import Split
from tasks.datasets.files import Photos, check_photo, find_root, read_photos
from tasks.datasets.final_split import check_final_split
from tasks.datasets.holdout import Holdout, parse_holdout
from tasks.datasets.layouts import suggest_layout
from tasks.fingerprint import fingerprint_files
from tasks.models.folders import SHIPPED

LAYOUTS = ("karpathy", "voc", "folder")
NAMES = "scenes, scenes:pretrain, karpathy:DIR, voc:DIR, folder:DIR"
FORMS = (
    "scenes (built in, drawn), karpathy:DIR (dataset_*.json), voc:DIR (VOC2012 with captions) or "
    "folder:DIR (images and captions.jsonl); without a val split: folder:DIR,val=0.1"
)


@lru_cache(maxsize=8)
def _photos(layout: str, folder: str, holdout: Holdout | None) -> Photos:
    photos = read_photos(layout, Path(folder))
    return photos if holdout is None else photos.hold_out(holdout)


def _parse(name: str) -> tuple[str, str, Holdout | None]:
    layout, _, rest = name.partition(":")
    if layout == "scenes" and rest in ("", "pretrain", "sweep"):
        return layout, rest or "sweep", None
    if layout in LAYOUTS and rest:
        folder, holdout = parse_holdout(rest)
        return layout, str(find_root(folder)), holdout
    hint = suggest_layout(name, LAYOUTS)
    raise DataError(f"--data takes {NAMES}, but got {name!r}{hint}")


def resolve(name: str) -> Source:
    """Check the data set, make a folder's path absolute, and compute the fingerprint.

    Raises:
        DataError: if the data set does not exist or is damaged.
    """
    layout, rest, holdout = _parse(name)
    if layout == "scenes":
        return Source(name=name, fingerprint=scenes.fingerprint())
    _photos.cache_clear()  # the files may have changed since an earlier sweep of this process
    photos = _photos(layout, rest, holdout)
    files = {file for split in photos.splits.values() for _, file, _ in split}
    fingerprint = fingerprint_files(
        photos.root, photos.files(), lambda file: check_photo(file) if file in files else None
    )
    if holdout is None:
        return Source(name=f"{layout}:{rest}", fingerprint=fingerprint)
    return Source(
        name=f"{layout}:{rest}{holdout}", fingerprint=content_id([fingerprint, str(holdout)])
    )


def load_split(name: str, split: str) -> Split:
    """Return a split of the data set.

    Raises:
        DataError: if there is no such split.
    """
    layout, rest, holdout = _parse(name)
    if layout == "scenes":
        return scenes.load_split(split, rest)
    return _photos(layout, rest, holdout).split(split)


def load_image(name: str, split: str, image_id: str) -> Image.Image:
    """Return an image of a split by its id.

    Raises:
        DataError: if the split has no such image, or its file cannot be read.
    """
    found = load_split(name, split)
    if image_id not in found.image_ids:
        raise DataError(f"{name} has no image {image_id!r} in {split}")
    return found.load(found.image_ids.index(image_id))


def check_final(name: str, split: str, *, chosen_on: str) -> None:
    """Raise an error if ``--final`` cannot use a split.

    Raises:
        DataError: if the data has no such split, or the sweep has used it already.
    """
    layout, rest, holdout = _parse(name)
    if layout == "scenes":
        known = list(scenes.splits(rest))
    else:
        known = list(_photos(layout, rest, holdout).splits)
    check_final_split(name, split, known, chosen_on=chosen_on)


def domain_warnings(model: Source, data: Source) -> list[str]:
    """Return a warning if the shipped model, trained on drawn scenes only, is given photos."""
    if model.name != SHIPPED or data.name.partition(":")[0] == "scenes":
        return []
    return [
        f"the default model, {SHIPPED}, was pretrained only on drawn scenes, so its scores on "
        "photos mean little; choose a model for photos with --model"
    ]
