"""A smaller copy of a Flickr8k folder, so that a benchmark over photos can be tried in a minute."""

from __future__ import annotations

import collections
import json
from pathlib import Path


def reduce_photos(photos: Path, folder: Path, limit: int | None) -> Path:
    """``photos`` itself, or without a copy of its images the first ``limit`` of each split.

    The smaller data set is written below ``folder``: Karpathy's JSON beside a link to the images.
    """
    if limit is None:
        return photos
    (source,) = photos.glob("dataset*.json")
    read = json.loads(source.read_text())
    taken: collections.Counter[str] = collections.Counter()
    images = []
    for image in read["images"]:
        taken[image["split"]] += 1
        if taken[image["split"]] <= limit:
            images.append(image)
    target = folder / f"first-{limit}"
    target.mkdir(parents=True, exist_ok=True)
    (target / source.name).write_text(json.dumps(read | {"images": images}))
    if not (target / "images").exists():
        (target / "images").symlink_to((photos / "images").resolve(), target_is_directory=True)
    return target
