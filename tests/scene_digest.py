"""A hash of the first scenes of every split, to compare between processes."""

from __future__ import annotations

import hashlib

from tasks.datasets import scenes


def digest_scenes(count: int = 5) -> str:
    """Hash ids, captions and pixels of the first scenes of each style and split."""
    digest = hashlib.sha256()
    for style in ("pretrain", "sweep"):
        for split in ("train", "val", "test"):
            drawn = scenes.load_split(split, style)
            for index in range(count):
                digest.update(repr((drawn.image_ids[index], drawn.captions[index])).encode())
                digest.update(drawn.load(index).tobytes())
    return digest.hexdigest()
