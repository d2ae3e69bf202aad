"""A small captioned data set, drawn from ``scenes``."""

from __future__ import annotations

import json
from pathlib import Path


def draw_folder(folder: Path, *, train: int, val: int, test: int = 0) -> Path:
    """A small captioned data set of the layout ``folder:DIR``, drawn from ``scenes``."""
    from tasks.datasets import scenes

    for split, number in (("train", train), ("val", val), ("test", test)):
        if not number:
            continue
        drawn = scenes.load_split(split)
        (folder / split).mkdir()
        lines = []
        for index in range(number):
            drawn.load(index).save(folder / split / f"{index}.png")
            lines.append({"image": f"{index}.png", "captions": drawn.captions[index]})
        text = "\n".join(json.dumps(line) for line in lines)
        (folder / split / "captions.jsonl").write_text(text)
    return folder
