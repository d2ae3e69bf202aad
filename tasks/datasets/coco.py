"""``coco:DIR``: Microsoft COCO as it is published, with captions.

DIR has ``annotations/captions_train2014.json`` and ``captions_val2014.json`` (or 2017), and the
images in ``train2014/`` and ``val2014/``, or in the same folders below ``images/``. If Karpathy's
``dataset_coco.json`` is in DIR or ``annotations/``, its splits and captions count instead.
``coco:DIR,year=2017`` chooses a year if there are files of two.

Format: https://cocodataset.org/#format-data (Lin et al., "Microsoft COCO", 2014)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.contract import DataError
from tasks.datasets.base import Entry
from tasks.datasets.files import find_root
from tasks.datasets.karpathy import read_splits
from tasks.datasets.listings import check_name, clean_captions, read_json
from tasks.datasets.options import format_options, parse_options
from tasks.datasets.photos import Photos, make_photos

YEARS = ("2014", "2017")
SPLITS = ("train", "val")


def open_coco(text: str) -> Photos:
    """Read the photos of ``DIR`` or ``DIR,year=YEAR``.

    Raises:
        DataError: if the folder does not have that layout.
    """
    folder, options = parse_options(text, ["year"])
    root = find_root(folder)
    name = f"coco:{root}{format_options(options, ['year'])}"
    karpathy = next((f for f in karpathy_files(root) if f.is_file()), None)
    if karpathy is not None and not options:
        return make_photos(name, root, [karpathy], read_splits(root, karpathy))
    year = _choose_year(root, options["year"][0] if options else None)
    index, splits = [], {}
    for split in SPLITS:
        listing = captions_file(root, split, year)
        if listing.exists():
            index.append(listing)
            splits[split] = _read_split(root, listing, f"{split}{year}")
    return make_photos(name, root, index, splits)


def karpathy_files(root: Path) -> tuple[Path, Path]:
    """Return where Karpathy's splits may be."""
    return root / "dataset_coco.json", root / "annotations" / "dataset_coco.json"


def captions_file(root: Path, split: str, year: str) -> Path:
    """Return where the captions of a split must be."""
    return root / "annotations" / f"captions_{split}{year}.json"


def years_in(root: Path) -> list[str]:
    """Return the years of which a folder has captions."""
    return [y for y in YEARS if any(captions_file(root, split, y).exists() for split in SPLITS)]


def _choose_year(root: Path, year: str | None) -> str:
    found = years_in(root)
    if year is not None:
        if year in found:
            return year
        file = captions_file(root, "train", year)
        raise DataError(f"captions missing: {file}; add the file, or change year={year}")
    if len(found) > 1:
        raise DataError(
            f"{root} has captions of 2014 and 2017; choose one: coco:{root},year={found[-1]}"
        )
    if not found:
        raise DataError(
            f"captions missing: {root}/annotations has no captions_train2014.json or "
            "captions_train2017.json; unpack COCO's annotations_trainval archive there"
        )
    return found[0]


def _read_split(root: Path, listing: Path, folder: str) -> list[Entry[Path]]:
    content = read_json(listing)
    captions: dict[Any, list[str]] = {}
    try:
        files: Mapping[Any, str] = {
            image["id"]: check_name(image["file_name"]) for image in content["images"]
        }
        for annotation in content["annotations"]:
            captions.setdefault(annotation["image_id"], []).append(annotation["caption"])
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{listing} is not a file of COCO captions ({type(error).__name__}: {error}); replace "
            "it with the published one"
        ) from None
    images = root / folder
    if not images.is_dir() and (root / "images" / folder).is_dir():
        images = root / "images" / folder
    return [
        (name, images / name, clean_captions(captions.get(image_id, []), f"{listing}: {name}"))
        for image_id, name in files.items()
    ]
