"""From ``--data`` to a data set: its fingerprint, and its splits."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tasks.contract import DataError, Source, content_id
from tasks.datasets import scenes
from tasks.datasets.base import Split
from tasks.datasets.files import Photos, check_photo, find_root, read_photos
from tasks.datasets.holdout import Holdout, split_name
from tasks.datasets.layouts import suggest_layout
from tasks.fingerprint import fingerprint_files
from tasks.models.folders import SHIPPED

KINDS = ("karpathy", "voc", "folder")
NAMES = "scenes, scenes:pretrain, karpathy:DIR, voc:DIR, folder:DIR"
FORMS = (
    "scenes (drawn, built in), karpathy:DIR (dataset_*.json), voc:DIR (VOC2012 with captions) or "
    "folder:DIR (images beside captions.jsonl); without a val split: folder:DIR,val=0.1"
)


@lru_cache(maxsize=8)
def _photos(kind: str, folder: str, holdout: Holdout | None) -> Photos:
    photos = read_photos(kind, Path(folder))
    return photos if holdout is None else photos.hold_out(holdout)


def _parse(name: str) -> tuple[str, str, Holdout | None]:
    kind, _, rest = name.partition(":")
    if kind == "scenes" and rest in ("", "pretrain", "sweep"):
        return kind, rest or "sweep", None
    if kind in KINDS and rest:
        folder, holdout = split_name(rest)
        return kind, str(find_root(folder)), holdout
    hint = suggest_layout(name, KINDS)
    raise DataError(f"--data takes {NAMES}, but got {name!r}{hint}")


def resolve(name: str) -> Source:
    """Check the data set and take its fingerprint: a folder's name becomes absolute.

    Raises:
        DataError: if there is none of that name, or it is damaged.
    """
    kind, rest, holdout = _parse(name)
    if kind == "scenes":
        return Source(name=name, fingerprint=scenes.fingerprint())  # the name says which
    photos = _photos(kind, rest, holdout)
    files = {file for split in photos.splits.values() for _, file, _ in split}
    fingerprint = fingerprint_files(
        photos.root, photos.files(), lambda file: check_photo(file) if file in files else None
    )
    if holdout is None:
        return Source(name=f"{kind}:{rest}", fingerprint=fingerprint)
    return Source(
        name=f"{kind}:{rest}{holdout}", fingerprint=content_id([fingerprint, str(holdout)])
    )


def load_split(name: str, split: str) -> Split:
    """A split of the data set.

    Raises:
        DataError: if there is no such split.
    """
    kind, rest, holdout = _parse(name)
    if kind == "scenes":
        return scenes.load_split(split, rest)
    return _photos(kind, rest, holdout).split(split)


def check_final(name: str, split: str, *, chosen_on: str) -> None:
    """Refuse a split that trials cannot be scored on at the end.

    Raises:
        DataError: if the data has no such split, or the sweep has used it already.
    """
    kind, rest, holdout = _parse(name)
    if kind == "scenes":
        known = list(scenes.splits(rest))
    else:
        known = list(_photos(kind, rest, holdout).splits)
    if split not in known:
        raise DataError(
            f"--final {split}: {name} has the splits {', '.join(known)}, but no {split}; add one, "
            "or remove --final"
        )
    if split in ("train", chosen_on):
        why = "trials are trained on it" if split == "train" else "it already chooses the best row"
        raise DataError(f"--final {split} needs a split that is not used yet, but {why}")


def domain_warnings(model: Source, data: Source) -> list[str]:
    """One line where the shipped model, which has seen drawn scenes alone, meets photos."""
    if model.name != SHIPPED or data.name.partition(":")[0] == "scenes":
        return []
    return [
        f"the default model, {SHIPPED}, knows only the drawn scenes it was pretrained on, so its "
        "scores on photos mean little; give a model of photos with --model"
    ]
