"""Reduce a Flickr8k folder to its first photos, to try a benchmark on photos in a minute."""

from __future__ import annotations

import collections
import json
from pathlib import Path


def reduce_photos(photos: Path, folder: Path, limit: int | None) -> Path:
    """Return ``photos``, or with ``limit`` a data set of the first photos of each split.

    The smaller data set is written below ``folder``: Karpathy's JSON and a link to the images.
    """
    if limit is None:
        return photos
    (source,) = photos.glob("dataset*.json")
    read = json.loads(source.read_text())
    counts: collections.Counter[str] = collections.Counter()
    images = []
    for image in read["images"]:
        counts[image["split"]] += 1
        if counts[image["split"]] <= limit:
            images.append(image)
    target = folder / f"first-{limit}"
    target.mkdir(parents=True, exist_ok=True)
    (target / source.name).write_text(json.dumps(read | {"images": images}))
    if not (target / "images").exists():
        (target / "images").symlink_to((photos / "images").resolve(), target_is_directory=True)
    return target
