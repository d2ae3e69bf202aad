"""Captioned photos on disk: Karpathy's JSON, the VOC layout, and a plain folder.

karpathy:DIR   dataset_*.json with its images (Flickr8k, Flickr30k, COCO; restval joins train)
voc:DIR        VOC2012: ImageSets/Segmentation/{train,val}.txt, JPEGImages, captions_v1.json
folder:DIR     images and captions.jsonl: {"image": ..., "captions": [...], "split": ...}

If a data set has no val split, add ``,val=0.1`` to hold out a tenth of the training images as val
(see ``holdout.py``).
"""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image, UnidentifiedImageError

from tasks.contract import DataError
from tasks.datasets.base import Split
from tasks.datasets.holdout import Holdout

Opened = TypeVar("Opened")
Entry = tuple[str, Path, tuple[str, ...]]  # id, file, captions


@dataclass(frozen=True, slots=True)
class Photos:
    """The entries of each split of a folder of photos."""

    root: Path
    index: tuple[Path, ...]  # the files that list images and captions
    splits: Mapping[str, Sequence[Entry]]
    layout: str = "folder"

    def hold_out(self, holdout: Holdout) -> Photos:
        """Return the same photos with part of train as val.

        Raises:
            DataError: if a val split exists already, or no train split.
        """
        splits = holdout.apply(self.splits, self.root, lambda entry: entry[0])
        return dataclasses.replace(self, splits=splits)

    def files(self) -> list[Path]:
        """Return every file that a result can depend on."""
        return [*self.index, *(file for s in self.splits.values() for _, file, _ in s)]

    def split(self, name: str) -> Split:
        """Return one split.

        Raises:
            DataError: if there is no such split.
        """
        if name not in self.splits:
            known = ", ".join(self.splits) or "none"
            fix = (
                f"add ,val=0.1 to --data ({self.layout}:{self.root},val=0.1) to hold out a tenth "
                "of train, list its images"
                if name == "val" and "train" in self.splits
                else "list its images"
            )
            raise DataError(
                f"{self.root} has the splits {known}, but got {name!r}; {fix}, or choose another "
                "split with --set split=NAME"
            )
        entries = self.splits[name]
        return Split(
            image_ids=tuple(entry[0] for entry in entries),
            captions=tuple(entry[2] for entry in entries),
            load=lambda index: read_photo(entries[index][1]),
        )


def find_root(name: str) -> Path:
    """Return a folder's absolute path.

    Raises:
        DataError: if there is no such folder.
    """
    try:
        # Path.resolve reports a loop of links only before Python 3.13.
        root = Path(os.path.realpath(Path(name).expanduser()))
        exists = stat.S_ISDIR(root.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        exists = False
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, no such user, too long
        why = getattr(error, "strerror", None) or error
        raise DataError(
            f"{name[:80]} is not a folder: {why}; check the path after --data"
        ) from None
    if not exists:
        raise DataError(f"no such folder: {root}; check the path after --data")
    return root


def read_photo(file: Path) -> Image.Image:
    """Read an image file as RGB.

    Raises:
        DataError: if the file is missing, damaged or too large.
    """
    return _open_photo(file, lambda image: image.convert("RGB"))


def check_photo(file: Path) -> None:
    """Raise an error if the header of a file is not an image's. Reads no pixels.

    Raises:
        DataError: the message names the file.
    """
    _open_photo(file, lambda image: None)


def _open_photo(file: Path, use: Callable[[Image.Image], Opened]) -> Opened:
    try:
        if not file.stat().st_size:
            raise DataError(f"{file} is not a readable image (it is empty); replace or remove it")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                return use(image)
    except FileNotFoundError:
        raise DataError(f"image missing: {file}; add the file or remove its entry") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise DataError(
            f"{file} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; resize or remove it"
        ) from None
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{file} is not a readable image; replace or remove it") from None
    except Exception as error:  # Pillow raises many kinds of errors for damaged files
        raise DataError(f"{file} is not a readable image ({error}); replace or remove it") from None


def read_photos(layout: str, root: Path) -> Photos:
    """Read the photos under ``root``, in one of the layouts above.

    Raises:
        DataError: if the folder does not have that layout.
    """
    find_root(str(root))
    readers = {"karpathy": _karpathy, "voc": _voc, "folder": _folder}
    photos = dataclasses.replace(readers[layout](root), layout=layout)
    for name, entries in photos.splits.items():
        seen: set[str] = set()
        for image_id, file, captions in entries:
            if image_id in seen:
                raise DataError(f"{root}: duplicate id {image_id!r} in {name}; remove one of them")
            seen.add(image_id)
            if not captions:
                raise DataError(f"{root}: {image_id} has no caption; add one or remove the image")
            if not file.is_file():
                what = "is a folder" if file.is_dir() else "missing"
                raise DataError(f"{root}: image {what}: {file}; add the file or remove its entry")
    if not any(photos.splits.values()):
        files = ", ".join(map(str, photos.index))
        raise DataError(f"{root} lists no images; add them to {files}")
    return photos


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"captions missing: {file}; add the file") from None
    except UnicodeDecodeError:
        raise DataError(f"{file} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}; replace it") from None


def _json(file: Path) -> Any:
    try:
        return json.loads(_text(file))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not valid JSON: {error}; fix or replace it") from None


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
        return True
    except UnicodeEncodeError:  # half of a surrogate pair cannot be stored in files or tables
        return False


def _name(value: Any) -> str:
    if not _is_text(value) or not value or "\0" in value:
        raise TypeError(f"a name must be a nonempty string, but got {value!r}")
    return str(value)


def _clean(captions: Any, where: str) -> tuple[str, ...]:
    """Collapse white space in one caption or a list of them, and drop empty captions."""
    found = [captions] if isinstance(captions, str) else captions
    if not isinstance(found, list) or not all(_is_text(each) for each in found):
        shown = repr(found)[:80]
        raise DataError(f"{where}: captions must be a string or a list of strings, but got {shown}")
    return tuple(text for each in found if (text := " ".join(each.split())))


def _karpathy(root: Path) -> Photos:
    found = sorted(root.glob("dataset*.json"))
    if len(found) != 1:
        raise DataError(f"{root} must contain one dataset_*.json, but contains {len(found)}")
    content = _json(found[0])
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise DataError(f"{found[0]} is not in Karpathy's layout: it has no list 'images'")
    splits: dict[str, list[Entry]] = {}
    for number, image in enumerate(content["images"]):
        try:
            split, filename = _name(image["split"]), _name(image["filename"])
            captions = _clean([s["raw"] for s in image["sentences"]], f"{found[0]}: {filename}")
        except (KeyError, TypeError) as error:
            why = f"lacks {error}" if isinstance(error, KeyError) else f"is malformed: {error}"
            raise DataError(f"{found[0]}: image {number} {why}; fix it") from None
        below = root / str(image.get("filepath", ""))
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
        raise DataError(f"{root}/captions_v1.json must be an object of captions by image id")
    splits: dict[str, list[Entry]] = {}
    index = [root / "captions_v1.json"]
    for name in ("train", "val"):
        listing = root / "ImageSets" / "Segmentation" / f"{name}.txt"
        if not listing.is_file():
            raise DataError(f"list of images missing: {listing}; add the file")
        index.append(listing)
        for image_id in _text(listing).split():
            file = root / "JPEGImages" / f"{image_id}.jpg"
            splits.setdefault(name, []).append(
                (image_id, file, _clean(captions.get(image_id, []), image_id))
            )
    return Photos(root, tuple(index), splits)


def _folder(root: Path) -> Photos:
    # The brackets also find broken links, which are then reported. Without them, Python before 3.13
    # omits files that do not exist.
    index = sorted(root.glob("**/captions.json[l]"))
    if not index:
        raise DataError(f"captions missing: no captions.jsonl under {root}; add one")
    splits: dict[str, list[Entry]] = {}
    for file in index:
        default = file.parent.name if file.parent != root else "train"
        for number, line in enumerate(_text(file).splitlines(), 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                name, split = _name(entry["image"]), _name(entry.get("split", default))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise DataError(
                    f"{file}, line {number}: {error!r}; a line must be "
                    '{"image": NAME, "captions": [TEXT, ...]}'
                ) from None
            found = entry.get("captions", entry.get("caption", []))
            captions = _clean(found, f"{file}, line {number}")
            splits.setdefault(split, []).append((name, file.parent / name, captions))
    return Photos(root, tuple(index), splits)
