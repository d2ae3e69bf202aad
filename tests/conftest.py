"""Shared by all tests: where the optional data lies, and a clean environment."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.pop("RAY_ADDRESS", None)

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def flickr() -> Path:
    folder = SHARED / "flickr8k-mini"
    if not folder.is_dir():
        pytest.skip("the photos of ../shared/data are not on this machine")
    return folder


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
