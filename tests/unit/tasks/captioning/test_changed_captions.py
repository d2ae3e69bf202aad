"""Captions that are edited between two sweeps of a process."""

from __future__ import annotations

from pathlib import Path

from captioned_folder import draw_folder

from tasks.captioning import captioning
from tasks.datasets import registry


def test_scores_use_the_edited_captions(tmp_path: Path) -> None:
    folder = draw_folder(tmp_path, train=2, val=1)
    for caption in ("a first text", "a second text"):
        for split, number in (("train", 2), ("val", 1)):
            lines = [f'{{"image": "{n}.png", "captions": ["{caption}"]}}' for n in range(number)]
            (folder / split / "captions.jsonl").write_text("\n".join(lines))
        data = registry.resolve(f"folder:{folder}")
        assert captioning._references(data, "val", None) == [(caption,)]
        assert captioning._training_captions(data) == frozenset({caption})
