"""``karpathy:DIR``: ``dataset_*.json`` with its images (Flickr8k, Flickr30k, COCO).

The splits are those of Karpathy and Fei-Fei, "Deep Visual-Semantic Alignments for Generating Image
Descriptions", 2015. ``restval`` joins ``train``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tasks.contract import DataError
from tasks.datasets.base import Entry
from tasks.datasets.files import find_root
from tasks.datasets.listings import check_name, clean_captions, read_json
from tasks.datasets.photos import Photos, make_photos

FOLDERS = ("images",)


def open_karpathy(folder: str) -> Photos:
    """Read the photos of a folder in Karpathy's layout.

    Raises:
        DataError: if the folder does not have that layout.
    """
    root = find_root(folder)
    found = sorted(root.glob("dataset*.json"))
    if len(found) != 1:
        raise DataError(f"{root} must contain one dataset_*.json, but contains {len(found)}")
    return make_photos(f"karpathy:{root}", root, found, read_splits(root, found[0]))


def read_splits(
    root: Path, listing: Path, folders: Sequence[str] = FOLDERS
) -> dict[str, list[Entry[Path]]]:
    """Return the images of each split that ``dataset_*.json`` lists.

    Args:
        root: the folder of the images.
        listing: the JSON file.
        folders: folders of ``root`` in which an image may be, besides its own ``filepath``.

    Raises:
        DataError: if the file is not in Karpathy's format.
    """
    content = read_json(listing)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise DataError(f"{listing} is not in Karpathy's layout: it has no list 'images'")
    splits: dict[str, list[Entry[Path]]] = {}
    for number, image in enumerate(content["images"]):
        try:
            split, filename = check_name(image["split"]), check_name(image["filename"])
            captions = clean_captions(
                [s["raw"] for s in image["sentences"]], f"{listing}: {filename}"
            )
        except (KeyError, TypeError) as error:
            why = f"lacks {error}" if isinstance(error, KeyError) else f"is malformed: {error}"
            raise DataError(f"{listing}: image {number} {why}; fix it") from None
        below = str(image.get("filepath", ""))
        places = [
            root / below,
            *(root / folder / part for folder in folders for part in (below, "")),
        ]
        file = next(
            (p / filename for p in places if (p / filename).is_file()), places[0] / filename
        )
        name = "train" if split == "restval" else split
        splits.setdefault(name, []).append((filename, file, captions))
    return splits
