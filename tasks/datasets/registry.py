"""Find the data set that ``--data`` names, its fingerprint and its splits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from tasks.contract import DataError, Source
from tasks.datasets import scenes
from tasks.datasets.base import CaptionedImages, Split
from tasks.datasets.caption_folder import open_folder
from tasks.datasets.coco import open_coco
from tasks.datasets.final_split import check_final_split
from tasks.datasets.flickr import open_flickr
from tasks.datasets.holdout import parse_holdout
from tasks.datasets.hub import open_hub
from tasks.datasets.karpathy import open_karpathy
from tasks.datasets.layouts import suggest_layout
from tasks.datasets.voc import open_voc
from tasks.datasets.webdataset import open_webdataset
from tasks.models.folders import SHIPPED

#: By the name before the colon: a function of what follows it.
LAYOUTS: Mapping[str, Callable[[str], CaptionedImages[Any]]] = {
    "karpathy": open_karpathy,
    "coco": open_coco,
    "flickr": open_flickr,
    "voc": open_voc,
    "webdataset": open_webdataset,
    "folder": open_folder,
    "hub": open_hub,
}
IN_FOLDERS = tuple(name for name in LAYOUTS if name != "hub")
NAMES = ", ".join(["scenes", "scenes:pretrain", "hub:ID", *(f"{name}:DIR" for name in IN_FOLDERS)])
FORMS = (
    "scenes (built in, drawn), hub:ID (Hugging Face), karpathy:DIR (dataset_*.json), coco:DIR, "
    "flickr:DIR, voc:DIR (VOC2012 with captions), webdataset:DIR (tar files) or "
    "folder:DIR (images and captions.jsonl); without a val split: folder:DIR,val=0.1"
)


MAX_OPEN = 16  # names of data sets that a process keeps open

_opened: dict[str, CaptionedImages[Any]] = {}
_lock = threading.Lock()


def _open(name: str) -> CaptionedImages[Any]:
    found = _opened.get(name)
    if found is None:
        layout, _, text = name.partition(":")
        text, holdout = parse_holdout(text)
        found = LAYOUTS[layout](text)
        found = found if holdout is None else found.hold_out(holdout)
        with _lock:
            if len(_opened) >= MAX_OPEN:
                _opened.clear()
            _opened.update({name: found, found.name: found})
    return found


def open_data(name: str) -> CaptionedImages[Any] | None:
    """Return the data set, or None for the built-in scenes.

    Raises:
        DataError: if the data set does not exist or is damaged.
    """
    layout, _, rest = name.partition(":")
    if layout == "scenes" and rest in ("", "pretrain", "sweep"):
        return None
    if layout not in LAYOUTS or not rest:
        hint = suggest_layout(name, IN_FOLDERS)
        raise DataError(f"--data takes {NAMES}, but got {name!r}{hint}")
    return _open(name)


def _scenes(name: str) -> str:
    return name.partition(":")[2] or "sweep"


def resolve(name: str) -> Source:
    """Check the data set, make a folder's path absolute, and compute the fingerprint.

    Raises:
        DataError: if the data set does not exist or is damaged.
    """
    _opened.clear()  # the files may have changed since an earlier sweep of this process
    data = open_data(name)
    if data is None:
        return Source(name=name, fingerprint=scenes.fingerprint())
    return data.source()


def load_split(name: str, split: str) -> Split:
    """Return a split of the data set.

    Raises:
        DataError: if there is no such split.
    """
    data = open_data(name)
    return scenes.load_split(split, _scenes(name)) if data is None else data.split(split)


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
    data = open_data(name)
    known = list(scenes.splits(_scenes(name)) if data is None else data.splits)
    check_final_split(name, split, known, chosen_on=chosen_on)


def domain_warnings(model: Source, data: Source) -> list[str]:
    """Return a warning if the shipped model, trained on drawn scenes only, is given photos."""
    if model.name != SHIPPED or data.name.partition(":")[0] == "scenes":
        return []
    return [
        f"the default model, {SHIPPED}, was pretrained only on drawn scenes, so its scores on "
        "photos mean little; choose a model for photos with --model"
    ]
