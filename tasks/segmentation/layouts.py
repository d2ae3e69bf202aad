"""Photos with masks on disk.

voc:DIR      PASCAL VOC: JPEGImages, SegmentationClass, ImageSets/Segmentation/{train,val}.txt
ade20k:DIR   ADEChallengeData2016: images and annotations, each with training and validation
folder:DIR   train/images, train/masks, val/images, ..., and classes.txt: a class per line

Masks are PNG files with one number per pixel (gray or palette). 255 is ignored. In ADE20K, 0 is
ignored and the classes begin with 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from tasks.contract import DataError
from tasks.datasets.files import find_root, read_photo
from tasks.datasets.holdout import Holdout
from tasks.segmentation.masked import IGNORE, Mask, MaskedSplit, column_of

VOC_CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat"),
    *("chair", "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
    *("sheep", "sofa", "train", "tvmonitor"),
)
ADE_SPLITS = {"train": "training", "val": "validation"}
NUM_ADE_CLASSES = 150
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_MASK_MODES = ("L", "P", "1")  # one byte or bit per pixel


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """An image and its mask."""

    image_id: str
    image: Path
    mask: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskedPhotos:
    """The entries of each split of a folder."""

    root: Path
    index: tuple[Path, ...]  # the files that list images or classes
    classes: tuple[str, ...]
    splits: Mapping[str, Sequence[Entry]]
    zero_is_ignored: bool = False

    def hold_out(self, holdout: Holdout) -> MaskedPhotos:
        """Return the same photos with part of train as val.

        Raises:
            DataError: if a val split exists already, or no train split.
        """
        splits = holdout.apply(self.splits, self.root, lambda entry: entry.image_id)
        return replace(self, splits=splits)

    def files(self) -> list[Path]:
        """Return every file that a result can depend on."""
        entries = [entry for split in self.splits.values() for entry in split]
        return [*self.index, *(e.image for e in entries), *(e.mask for e in entries)]

    def split(self, name: str) -> MaskedSplit:
        """Return one split.

        Raises:
            DataError: if there is no such split.
        """
        if name not in self.splits:
            known = ", ".join(self.splits) or "none"
            raise DataError(
                f"{self.root} has the splits {known}, but got {name!r}; add it, hold out a share "
                "of train as val (--data folder:DIR,val=0.1), or choose another split with "
                "--set split=NAME"
            )
        entries = self.splits[name]
        return MaskedSplit(
            image_ids=tuple(entry.image_id for entry in entries),
            classes=self.classes,
            load=lambda index: read_photo(entries[index].image),
            load_mask=lambda index: self._read_mask(entries[index]),
        )

    def _read_mask(self, entry: Entry) -> Mask:
        labels = _read_labels(entry.mask)
        if self.zero_is_ignored:
            labels = np.where(labels == 0, IGNORE, labels - 1).astype(np.uint8)
        with Image.open(entry.image) as image:
            size = image.size
        if labels.shape[::-1] != size:
            raise DataError(
                f"{entry.mask} has {labels.shape[1]} x {labels.shape[0]} pixels, but its image "
                f"{size[0]} x {size[1]}; replace the mask"
            )
        unknown = np.setdiff1d(labels, [*range(len(self.classes)), IGNORE])
        if len(unknown):
            first = int(unknown[0]) + self.zero_is_ignored
            raise DataError(
                f"{entry.mask} has the label {first}, but there are {len(self.classes)} classes; "
                f"fix the mask, or add the class (the label {IGNORE} is ignored)"
            )
        return labels


def check_mask(file: Path) -> None:
    """Raise an error if the header of a file is not a mask's. Reads no pixels.

    Raises:
        DataError: the message names the file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                mode = image.mode
    except FileNotFoundError:
        raise DataError(f"mask missing: {file}; add the file or remove its image") from None
    except Exception as error:  # Pillow raises many kinds of errors for damaged files
        raise DataError(f"{file} is not a readable mask ({error}); replace it") from None
    if mode not in _MASK_MODES:
        raise DataError(
            f"{file} has the mode {mode}, but a mask has one number from 0 to 255 per pixel (mode "
            "L or P); convert it"
        )


def _read_labels(file: Path) -> Mask:
    check_mask(file)
    try:
        with Image.open(file) as image:
            return np.asarray(image, dtype=np.uint8)
    except Exception as error:  # the same
        raise DataError(f"{file} is not a readable mask ({error}); replace it") from None


def read_layout(layout: str, root: Path) -> MaskedPhotos:
    """Read the photos under ``root``, in one of the layouts above. Reads no pixels.

    Raises:
        DataError: if the folder does not have that layout.
    """
    find_root(str(root))
    photos = {"voc": _voc, "ade20k": _ade20k, "folder": _folder}[layout](root)
    if not any(photos.splits.values()):
        raise DataError(f"{root} has no images; add them as described for {layout}:DIR")
    _check_columns(photos.classes, root)
    for name, entries in photos.splits.items():
        ids = set()
        for entry in entries:
            if entry.image_id in ids:
                raise DataError(
                    f"{root}: duplicate id {entry.image_id!r} in {name}; remove one of them"
                )
            ids.add(entry.image_id)
            for what, file in (("image", entry.image), ("mask", entry.mask)):
                if not file.is_file():
                    raise DataError(
                        f"{what} missing: {file}; add the file or remove its {entry.image_id}"
                    )
    return photos


def _check_columns(classes: Sequence[str], root: Path) -> None:
    """Check that the IoU of each class has a column of its own.

    Raises:
        DataError: if two names differ only in spaces and underscores.
    """
    known: dict[str, str] = {}
    for name in classes:
        other = known.setdefault(column_of(name), name)
        if other != name:
            raise DataError(
                f"{root}: the classes {other!r} and {name!r} would have the same column; rename one"
            )


def _lines(file: Path, what: str) -> list[str]:
    try:
        lines = map(str.strip, file.read_text(encoding="utf-8").splitlines())
        return [line for line in lines if line]
    except FileNotFoundError:
        raise DataError(f"{what} missing: {file}; add the file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read: {error}; replace it") from None


def _voc(root: Path) -> MaskedPhotos:
    listings, masks = root / "ImageSets" / "Segmentation", root / "SegmentationClass"
    names = ["train", "val"]
    test = listings / "test.txt"
    # VOC publishes the list of test images, but not their masks.
    if test.is_file() and any((masks / f"{n}.png").is_file() for n in _lines(test, "list")):
        names.append("test")
    splits = {}
    for name in names:
        ids = _lines(listings / f"{name}.txt", "list of images")
        splits[name] = [
            Entry(
                image_id=image_id,
                image=root / "JPEGImages" / f"{image_id}.jpg",
                mask=masks / f"{image_id}.png",
            )
            for image_id in ids
        ]
    index = tuple(listings / f"{name}.txt" for name in names)
    return MaskedPhotos(root=root, index=index, classes=VOC_CLASSES, splits=splits)


def _ade20k(root: Path) -> MaskedPhotos:
    splits = {}
    for name, folder in ADE_SPLITS.items():
        images, masks = root / "images" / folder, root / "annotations" / folder
        if not images.is_dir():
            raise DataError(f"folder missing: {images}; --data takes ade20k:ADEChallengeData2016")
        splits[name] = _pairs(images, masks)
    listing = root / "objectInfo150.txt"
    index = (listing,) if listing.is_file() else ()
    classes = _ade_names(listing) if index else _numbered(NUM_ADE_CLASSES)
    return MaskedPhotos(
        root=root, index=index, classes=classes, splits=splits, zero_is_ignored=True
    )


def _ade_names(listing: Path) -> tuple[str, ...]:
    """The first name of each class, from a table with tabs whose last column is the name."""
    rows = [line.split("\t") for line in _lines(listing, "list of classes")[1:]]
    names = [row[-1].split(",")[0].strip() for row in rows]
    if len(names) != NUM_ADE_CLASSES or not all(names):
        raise DataError(f"{listing} must name {NUM_ADE_CLASSES} classes, but names {len(names)}")
    counts = {name: names.count(name) for name in names}
    return tuple(
        name if counts[name] == 1 else f"{name} {index + 1}" for index, name in enumerate(names)
    )


def _numbered(number: int) -> tuple[str, ...]:
    return tuple(f"class {index + 1}" for index in range(number))


def _folder(root: Path) -> MaskedPhotos:
    listing = root / "classes.txt"
    classes = tuple(_lines(listing, "list of classes"))
    if not 2 <= len(classes) <= IGNORE or len(set(classes)) < len(classes):
        raise DataError(
            f"{listing} must have 2 to {IGNORE} different names, one per line, but has "
            f"{len(classes)} ({len(set(classes))} different)"
        )
    splits = {
        images.parent.name: _pairs(images, images.parent / "masks")
        for images in sorted(root.glob("*/images"))
    }
    return MaskedPhotos(root=root, index=(listing,), classes=classes, splits=splits)


def _pairs(images: Path, masks: Path) -> list[Entry]:
    """The images of a folder, each with the mask of the same name."""
    files = sorted(f for f in images.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES)
    return [Entry(image_id=f.stem, image=f, mask=masks / f"{f.stem}.png") for f in files]
