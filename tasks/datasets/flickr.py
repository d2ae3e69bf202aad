"""``flickr:DIR``: Flickr8k and Flickr30k as they are published.

Captions, the first of these files that DIR has:

dataset_flickr30k.json, dataset_flickr8k.json    Karpathy's, with splits
results_20130124.token, Flickr8k.token.txt       lines of ``IMAGE#NUMBER<tab>CAPTION``
captions.txt                                     the same, or CSV with columns image and caption
results.csv                                      lines of ``IMAGE| NUMBER| CAPTION``

The last three have no splits. Files that list the images of a split add them:
``Flickr_8k.trainImages.txt`` (and ``devImages``, ``testImages``), or ``train.txt``, ``val.txt`` and
``test.txt``. Without such files all images are ``train``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from tasks.contract import DataError
from tasks.datasets.base import Entry
from tasks.datasets.files import find_root
from tasks.datasets.karpathy import read_splits
from tasks.datasets.listings import check_name, clean_captions, read_text
from tasks.datasets.photos import Photos, make_photos

FOLDERS = (
    *("images", "Images", "flickr30k-images", "flickr30k_images"),
    *("Flicker8k_Dataset", "Flickr8k_Dataset"),  # the first name is the published one
)
JSON = ("dataset_flickr30k.json", "dataset_flickr8k.json")
LISTS = {
    "train": ("Flickr_8k.trainImages.txt", "train.txt"),
    "val": ("Flickr_8k.devImages.txt", "val.txt"),
    "test": ("Flickr_8k.testImages.txt", "test.txt"),
}
#: A line of results.csv. One line of the published file lacks the second bar.
_BARS = re.compile(r"(?P<image>[^|]*)\|\s*\d+\s*\|?(?P<text>.*)")


def open_flickr(folder: str) -> Photos:
    """Read the photos of Flickr8k or Flickr30k.

    Raises:
        DataError: if the folder does not have that layout.
    """
    root = find_root(folder)
    name = f"flickr:{root}"
    listing = next((root / file for file in (*JSON, *CAPTIONS) if (root / file).is_file()), None)
    if listing is None:
        known = ", ".join((*JSON, *CAPTIONS))
        raise DataError(f"captions missing: {root} has none of {known}; add one of them")
    if listing.name in JSON:
        return make_photos(name, root, [listing], read_splits(root, listing, FOLDERS))
    images = next((root / name for name in FOLDERS if (root / name).is_dir()), root)
    captions = _read_captions(listing)
    entries = {
        image: (image, images / image, clean_captions(texts, f"{listing}: {image}"))
        for image, texts in captions.items()
    }
    lists = {s: next((root / f for f in n if (root / f).is_file()), None) for s, n in LISTS.items()}
    found = {split: file for split, file in lists.items() if file is not None}
    splits = {split: _choose(file, entries, listing) for split, file in found.items()}
    return make_photos(
        name, root, [listing, *found.values()], splits or {"train": [*entries.values()]}
    )


def _read_captions(listing: Path) -> dict[str, list[str]]:
    lines = read_text(listing).split("\n")
    captions: dict[str, list[str]] = {}
    for number, fields in CAPTIONS[listing.name](lines):
        try:
            image, text = fields
            check_name(image)
        except (TypeError, ValueError):
            raise DataError(
                f"{listing}, line {number} must have an image and a caption, but is "
                f"{lines[number - 1][:80]!r}; fix or remove it"
            ) from None
        captions.setdefault(image, []).append(text)
    return captions


def _tokens(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            image, tab, text = line.partition("\t")
            yield number, [image.rpartition("#")[0], text] if tab else [line]


def _bars(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines, 1):
        found = _BARS.fullmatch(line)
        if found is not None:
            yield number, [found["image"].strip(), found["text"]]
        elif line.strip() and line.partition("|")[0].strip() != "image_name":
            yield number, [line]


def _commas(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    if any("\t" in line for line in lines[:1]):
        yield from _tokens(lines)
        return
    rows = csv.reader(io.StringIO("\n".join(lines), newline=""))
    for row in rows:
        if row and (rows.line_num > 1 or row != ["image", "caption"]):
            yield rows.line_num, row


#: How to read each file of captions.
CAPTIONS: dict[str, Callable[[list[str]], Iterator[tuple[int, list[str]]]]] = {
    "results_20130124.token": _tokens,
    "Flickr8k.token.txt": _tokens,
    "captions.txt": _commas,
    "results.csv": _bars,
}


def _choose(file: Path, entries: dict[str, Entry[Path]], listing: Path) -> list[Entry[Path]]:
    """Return the entries of the images that a list names, with or without their suffix."""
    chosen = []
    for name in read_text(file).split():
        entry = entries.get(name) or entries.get(f"{name}.jpg")
        if entry is None:
            raise DataError(f"{file} lists {name}, which has no caption in {listing}; remove it")
        chosen.append(entry)
    return chosen
