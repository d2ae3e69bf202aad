"""``voc:DIR``: VOC2012 with captions.

ImageSets/Segmentation/{train,val}.txt, JPEGImages, and captions_v1.json, an object of captions by
image id.
"""

from __future__ import annotations

from pathlib import Path

from tasks.contract import DataError
from tasks.datasets.base import Entry
from tasks.datasets.files import find_root
from tasks.datasets.listings import clean_captions, read_json, read_text
from tasks.datasets.photos import Photos, make_photos


def open_voc(folder: str) -> Photos:
    """Read the photos of a folder in VOC's layout.

    Raises:
        DataError: if the folder does not have that layout.
    """
    root = find_root(folder)
    captions = read_json(root / "captions_v1.json")
    if not isinstance(captions, dict):
        raise DataError(f"{root}/captions_v1.json must be an object of captions by image id")
    splits: dict[str, list[Entry[Path]]] = {}
    index = [root / "captions_v1.json"]
    for name in ("train", "val"):
        listing = root / "ImageSets" / "Segmentation" / f"{name}.txt"
        if not listing.is_file():
            raise DataError(f"list of images missing: {listing}; add the file")
        index.append(listing)
        for image_id in read_text(listing).split():
            file = root / "JPEGImages" / f"{image_id}.jpg"
            splits.setdefault(name, []).append(
                (image_id, file, clean_captions(captions.get(image_id, []), image_id))
            )
    return make_photos(f"voc:{root}", root, index, splits)
