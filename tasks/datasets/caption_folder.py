"""``folder:DIR``: images and ``captions.jsonl``.

A line is {"image": NAME, "captions": [TEXT, ...], "split": NAME}; the default of "split" is the
name of the folder.
"""

from __future__ import annotations

import json
from pathlib import Path

from tasks.contract import DataError
from tasks.datasets.base import Entry
from tasks.datasets.files import find_root
from tasks.datasets.listings import check_name, clean_captions, read_text
from tasks.datasets.photos import Photos, make_photos


def open_folder(folder: str) -> Photos:
    """Read the photos of a folder with ``captions.jsonl``.

    Raises:
        DataError: if the folder does not have that layout.
    """
    root = find_root(folder)
    # The brackets also find broken links, which are then reported. Without them, Python before 3.13
    # omits files that do not exist.
    index = sorted(root.glob("**/captions.json[l]"))
    if not index:
        raise DataError(f"captions missing: no captions.jsonl under {root}; add one")
    splits: dict[str, list[Entry[Path]]] = {}
    for file in index:
        default = file.parent.name if file.parent != root else "train"
        for number, line in enumerate(read_text(file).split("\n"), 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                name, split = check_name(entry["image"]), check_name(entry.get("split", default))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise DataError(
                    f"{file}, line {number}: {error!r}; a line must be "
                    '{"image": NAME, "captions": [TEXT, ...]}'
                ) from None
            found = entry.get("captions", entry.get("caption", []))
            captions = clean_captions(found, f"{file}, line {number}")
            splits.setdefault(split, []).append((name, file.parent / name, captions))
    return make_photos(f"folder:{root}", root, index, splits)
