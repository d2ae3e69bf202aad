"""Captioned photos on disk: Karpathy's JSON, the VOC layout, and a plain folder.

karpathy:DIR   dataset_*.json beside its images (Flickr8k, Flickr30k, COCO; restval is train)
voc:DIR        VOC2012: ImageSets/Segmentation/{train,val}.txt, JPEGImages, captions_v1.json
folder:DIR     images beside captions.jsonl: {"image": ..., "captions": [...], "split": ...}

Without a val split, ``DIR,val=0.1`` after any of them holds out a tenth of the training images
(``holdout.py``), which then are not trained on.
"""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import warnings
from collections.abc import Callable
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
    index: tuple[Path, ...]  # the files that name images and captions
    splits: dict[str, list[Entry]]
    layout: str = "folder"

    def hold_out(self, holdout: Holdout) -> Photos:
        """The same photos with some of train as val.

        Raises:
            DataError: if there is a val split already, or nothing to take it from.
        """
        if "val" in self.splits or "train" not in self.splits:
            known = ", ".join(self.splits) or "none"
            raise DataError(
                f"val={holdout.share:g} takes val out of train where there is no val, but "
                f"{self.root} has the splits {known}; remove {holdout} from --data"
            )
        train = self.splits["train"]
        held = holdout.choose([image_id for image_id, _, _ in train])
        parts = {
            "train": [entry for entry in train if entry[0] not in held],
            "val": [entry for entry in train if entry[0] in held],
        }
        return dataclasses.replace(self, splits={**self.splits, **parts})

    def files(self) -> list[Path]:
        """Every file a result can depend on."""
        return [*self.index, *(file for s in self.splits.values() for _, file, _ in s)]

    def split(self, name: str) -> Split:
        """One split, its photos read when asked for."""
        if name not in self.splits:
            known = ", ".join(self.splits) or "none"
            fix = (
                f"add ,val=0.1 to --data ({self.layout}:{self.root},val=0.1) to hold out a tenth "
                "of train, list its images"
                if name == "val" and "train" in self.splits
                else "list its images"
            )
            raise DataError(
                f"{self.root} has the splits {known}, but got {name!r}; {fix}, or give another "
                "with --set split=NAME"
            )
        entries = self.splits[name]
        return Split(
            image_ids=tuple(entry[0] for entry in entries),
            captions=tuple(entry[2] for entry in entries),
            load=lambda index: read_photo(entries[index][1]),
        )


def find_root(name: str) -> Path:
    """The absolute folder that a user's path names.

    Raises:
        DataError: if there is none.
    """
    try:
        # Path.resolve reports a loop of links only before Python 3.13.
        root = Path(os.path.realpath(Path(name).expanduser()))
        there = stat.S_ISDIR(root.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        there = False
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, no such user, too long
        why = getattr(error, "strerror", None) or error
        raise DataError(f"{name[:80]} is no folder: {why}; check the path after --data") from None
    if not there:
        raise DataError(f"no such folder: {root}; check the path after --data")
    return root


def read_photo(file: Path) -> Image.Image:
    """An image file as RGB.

    Raises:
        DataError: if it is missing, damaged or too large.
    """
    return _open_photo(file, lambda image: image.convert("RGB"))


def check_photo(file: Path) -> None:
    """Refuse a file whose first bytes are no image's. Reads no pixels.

    Raises:
        DataError: naming the file.
    """
    _open_photo(file, lambda image: None)


def _open_photo(file: Path, use: Callable[[Image.Image], Opened]) -> Opened:
    try:
        if not file.stat().st_size:
            raise DataError(f"{file} is no readable image (it is empty); replace or remove it")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                return use(image)
    except FileNotFoundError:
        raise DataError(f"image missing: {file}; put it there, or take its line out") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise DataError(
            f"{file} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller or remove it"
        ) from None
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{file} is no readable image; replace or remove it") from None
    except Exception as error:  # whatever a damaged file brings Pillow to raise
        raise DataError(f"{file} is no readable image ({error}); replace or remove it") from None


def read_photos(layout: str, root: Path) -> Photos:
    """The photos under ``root`` in one of the layouts above.

    Raises:
        DataError: if the folder does not hold that layout.
    """
    find_root(str(root))
    readers = {"karpathy": _karpathy, "voc": _voc, "folder": _folder}
    photos = dataclasses.replace(readers[layout](root), layout=layout)
    for name, entries in photos.splits.items():
        seen: set[str] = set()
        for image_id, file, captions in entries:
            if image_id in seen:
                raise DataError(f"{root}: the id {image_id!r} stands twice in {name}")
            seen.add(image_id)
            if not captions:
                raise DataError(f"{root}: {image_id} has no caption; give it one or leave it out")
            if not file.is_file():
                what = "a folder" if file.is_dir() else "missing"
                raise DataError(f"{root}: image {what}: {file}; put it there, or take its line out")
    if not any(photos.splits.values()):
        raise DataError(f"{root} names no images; {', '.join(map(str, photos.index))} is empty")
    return photos


def _text(file: Path) -> str:
    """A text file whole."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"captions missing: {file}; put it there") from None
    except UnicodeDecodeError:
        raise DataError(f"{file} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}; replace it") from None


def _json(file: Path) -> Any:
    try:
        return json.loads(_text(file))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is no valid JSON: {error}; mend or replace it") from None


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
        return True
    except UnicodeEncodeError:  # half of a surrogate pair: no file and no table can hold it
        return False


def _word(value: Any) -> str:
    if not _is_text(value) or not value or "\0" in value:
        raise TypeError(f"a name must be a text, but got {value!r}")
    return str(value)


def _clean(captions: Any, where: str) -> tuple[str, ...]:
    """One caption or a list of them, white space made single, empty ones left out."""
    told = [captions] if isinstance(captions, str) else captions
    if not isinstance(told, list) or not all(_is_text(each) for each in told):
        shown = repr(told)[:80]
        raise DataError(f"{where}: captions must be a text or a list of texts, but got {shown}")
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
            split, filename = _word(image["split"]), _word(image["filename"])
            captions = _clean([s["raw"] for s in image["sentences"]], f"{found[0]}: {filename}")
        except (KeyError, TypeError) as error:
            why = str(error) if isinstance(error, KeyError) else f"what it needs: {error}"
            raise DataError(f"{found[0]}: image {number} lacks {why}; mend it") from None
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
        raise DataError(f"{root}/captions_v1.json must map image ids to captions")
    splits: dict[str, list[Entry]] = {}
    index = [root / "captions_v1.json"]
    for name in ("train", "val"):
        listing = root / "ImageSets" / "Segmentation" / f"{name}.txt"
        if not listing.is_file():
            raise DataError(f"list of images missing: {listing}; put it there")
        index.append(listing)
        for image_id in _text(listing).split():
            file = root / "JPEGImages" / f"{image_id}.jpg"
            splits.setdefault(name, []).append(
                (image_id, file, _clean(captions.get(image_id, []), image_id))
            )
    return Photos(root, tuple(index), splits)


def _folder(root: Path) -> Photos:
    # The brackets find broken links too, which are then reported: without them, Python before 3.13
    # leaves out files that do not exist.
    index = sorted(root.glob("**/captions.json[l]"))
    if not index:
        raise DataError(f"captions missing: no captions.jsonl under {root}; write one")
    splits: dict[str, list[Entry]] = {}
    for file in index:
        default = file.parent.name if file.parent != root else "train"
        for number, line in enumerate(_text(file).splitlines(), 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                name, split = _word(entry["image"]), _word(entry.get("split", default))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise DataError(
                    f"{file}, line {number}: {error!r}; a line is "
                    '{"image": NAME, "captions": [TEXT, ...]}'
                ) from None
            told = entry.get("captions", entry.get("caption", []))
            captions = _clean(told, f"{file}, line {number}")
            splits.setdefault(split, []).append((name, file.parent / name, captions))
    return Photos(root, tuple(index), splits)
