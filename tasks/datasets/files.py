"""Captioned photos on disk: Karpathy's JSON, the VOC layout, and a plain folder.

karpathy:DIR   dataset_*.json beside its images (Flickr8k, Flickr30k, COCO; restval is train)
voc:DIR        VOC2012: ImageSets/Segmentation/{train,val}.txt, JPEGImages, captions_v1.json
folder:DIR     images beside captions.jsonl: {"image": ..., "captions": [...], "split": ...}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from tasks.contract import DataError
from tasks.datasets.base import Split

Entry = tuple[str, Path, tuple[str, ...]]  # id, file, captions


@dataclass(frozen=True, slots=True)
class Photos:
    """The entries of each split of a folder of photos."""

    root: Path
    index: tuple[Path, ...]  # the files that name images and captions
    splits: dict[str, list[Entry]]

    def files(self) -> list[Path]:
        """Every file a result can depend on."""
        return [*self.index, *(file for s in self.splits.values() for _, file, _ in s)]

    def split(self, name: str) -> Split:
        """One split, its photos read when asked for."""
        if name not in self.splits:
            known = ", ".join(self.splits) or "none"
            raise DataError(f"{self.root} has the splits {known}, but got {name!r}")
        entries = self.splits[name]
        return Split(
            image_ids=tuple(entry[0] for entry in entries),
            captions=tuple(entry[2] for entry in entries),
            load=lambda index: read_photo(entries[index][1]),
        )


def read_photo(file: Path) -> Image.Image:
    """An image file as RGB.

    Raises:
        DataError: if it is missing or damaged.
    """
    try:
        with Image.open(file) as image:
            return image.convert("RGB")
    except FileNotFoundError:
        raise DataError(f"image missing: {file}") from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise DataError(f"{file} is no readable image ({error}); replace or remove it") from None


def read_photos(layout: str, root: Path) -> Photos:
    """The photos under ``root`` in one of the layouts above.

    Raises:
        DataError: if the folder does not hold that layout.
    """
    if not root.is_dir():
        raise DataError(f"no such folder: {root}")
    readers = {"karpathy": _karpathy, "voc": _voc, "folder": _folder}
    photos = readers[layout](root)
    for name, entries in photos.splits.items():
        seen: set[str] = set()
        for image_id, file, captions in entries:
            if image_id in seen:
                raise DataError(f"{root}: the id {image_id!r} stands twice in {name}")
            seen.add(image_id)
            if not captions:
                raise DataError(f"{root}: {image_id} has no caption; give it one or leave it out")
            if not file.is_file():
                raise DataError(f"{root}: image missing: {file}")
    return photos


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"captions missing: {file}") from None
    except UnicodeDecodeError:
        raise DataError(f"{file} is not UTF-8; save it as UTF-8") from None
    except ValueError as error:
        raise DataError(f"{file} is no valid JSON: {error}") from None


def _clean(captions: Any, where: str) -> tuple[str, ...]:
    """One caption or a list of them, white space made single, empty ones left out."""
    told = [captions] if isinstance(captions, str) else captions
    if not isinstance(told, list) or not all(isinstance(each, str) for each in told):
        raise DataError(f"{where}: captions must be a text or a list of texts, but got {told!r}")
    return tuple(text for each in told if (text := " ".join(each.split())))


def _karpathy(root: Path) -> Photos:
    found = sorted(root.glob("dataset*.json"))
    if len(found) != 1:
        raise DataError(f"{root} must hold one dataset_*.json, but holds {len(found)}")
    listed = _json(found[0])
    if not isinstance(listed, dict) or not isinstance(listed.get("images"), list):
        raise DataError(f"{found[0]} is not in Karpathy's layout: it has no list 'images'")
    splits: dict[str, list[Entry]] = {}
    for number, image in enumerate(listed["images"]):
        try:
            split, filename = image["split"], image["filename"]
            captions = _clean([s["raw"] for s in image["sentences"]], f"{found[0]}: {filename}")
        except (KeyError, TypeError) as error:
            raise DataError(f"{found[0]}: image {number} lacks {error}") from None
        below = root / image.get("filepath", "")
        file = next(
            (p for p in (below / filename, root / "images" / filename) if p.is_file()),
            below / filename,
        )
        name = "train" if split == "restval" else split
        splits.setdefault(name, []).append((filename, file, captions))
    return Photos(root, (found[0],), splits)


def _voc(root: Path) -> Photos:
    captions = _json(root / "captions_v1.json")
    if not isinstance(captions, dict):
        raise DataError(f"{root}/captions_v1.json must map image ids to captions")
    splits: dict[str, list[Entry]] = {}
    index = [root / "captions_v1.json"]
    for name in ("train", "val"):
        listing = root / "ImageSets" / "Segmentation" / f"{name}.txt"
        if not listing.is_file():
            raise DataError(f"list of images missing: {listing}")
        index.append(listing)
        for image_id in listing.read_text().split():
            file = root / "JPEGImages" / f"{image_id}.jpg"
            splits.setdefault(name, []).append(
                (image_id, file, _clean(captions.get(image_id, []), image_id))
            )
    return Photos(root, tuple(index), splits)


def _folder(root: Path) -> Photos:
    index = sorted(root.glob("**/captions.jsonl"))
    if not index:
        raise DataError(f"captions missing: no captions.jsonl under {root}")
    splits: dict[str, list[Entry]] = {}
    for file in index:
        default = file.parent.name if file.parent != root else "train"
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            raise DataError(f"{file} is not UTF-8; save it as UTF-8") from None
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                name = entry["image"]
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"{file}, line {number}: {error!r}") from None
            told = entry.get("captions", entry.get("caption", []))
            captions = _clean(told, f"{file}, line {number}")
            splits.setdefault(entry.get("split", default), []).append(
                (name, file.parent / name, captions)
            )
    return Photos(root, tuple(index), splits)
