"""``concepts`` and the lab's CLEVR folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.contract import DataError
from tasks.datasets import concepts


def test_training_has_only_seen_conditions() -> None:
    for split, conditions in (("train", concepts.SEEN), ("probe-test", concepts.CONDITIONS)):
        found = concepts.load_split(concepts.resolve("concepts"), split)
        assert len(found) == concepts.SPLITS[split]
        values = {"".join(map(str, row)) for row in found.digits.tolist()}
        assert values == set(conditions)
        assert found.images.shape[1:] == (28, 28, 3)


def test_pictures_match_their_condition() -> None:
    found = concepts.load_split(concepts.resolve("concepts"), "probe-test")
    ground = found.images[:, :2].mean(axis=(1, 2), keepdims=True)
    far = np.abs(found.images.astype(float) - ground).max(3) > 60  # where the object is
    area = far.sum((1, 2))
    small = found.digits[:, 2] == 1
    assert area[small].max() < area[~small].min() + 40
    assert area[small].mean() < area[~small].mean() / 1.8
    middle = found.images[:, 13:16, 13:16].astype(float).mean((1, 2))
    red = found.digits[:, 1] == 0
    assert (middle[red, 0] > middle[red, 2]).all()
    assert (middle[~red, 2] > middle[~red, 0]).all()
    filled = area / np.array([np.ptp(np.argwhere(one), axis=0).prod() for one in far])
    triangle = found.digits[:, 0] == 1
    assert filled[~triangle].mean() > filled[triangle].mean() + 0.15


def clevr(root: Path, number: int = 10) -> None:
    root.mkdir(exist_ok=True)
    drawn = concepts.load_split(concepts.resolve("concepts"), "probe-train")
    for condition in concepts.CONDITIONS:
        rows = np.flatnonzero((drawn.digits == [int(d) for d in condition]).all(1))[:number]
        for place, row in enumerate(rows):
            file = root / f"CLEVR_{condition}_{place}.png"
            Image.fromarray(drawn.images[row]).resize((56, 56)).save(file)
            values = [float(drawn.sizes[row]), [*map(float, drawn.colors[row]), 1.0], "rubber"]
            file.with_suffix(".json").write_text(json.dumps(values))


def test_clevr_folder_is_read(tmp_path: Path) -> None:
    clevr(tmp_path)
    source = concepts.resolve(f"clevr:{tmp_path}")
    train = concepts.load_split(source, "train")
    assert len(train) == 20
    assert {"".join(map(str, row)) for row in train.digits.tolist()} == set(concepts.SEEN)
    assert train.images.shape == (20, 28, 28, 3)
    assert 1.4 < train.sizes.min() < train.sizes.max() < 2.8
    assert len(concepts.load_split(source, "probe-test")) == 8
    assert len(concepts.load_split(source, "probe-train")) == 24
    splits = [concepts.load_split(source, split).images for split in concepts.SPLITS]
    pictures = [image.tobytes() for images in splits for image in images]
    assert len(set(pictures)) == len(pictures) == 60  # no picture is in two splits


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda r: [f.unlink() for f in r.glob("CLEVR_110_*")], "no CLEVR_110_N.png"),
        (lambda r: (r / "CLEVR_000_3.json").unlink(), "CLEVR_000_3.json is missing"),
    ],
)
def test_incomplete_clevr_folder_is_refused(damage: Any, message: str, tmp_path: Path) -> None:
    clevr(tmp_path)
    damage(tmp_path)
    with pytest.raises(DataError, match=message):
        concepts.resolve(f"clevr:{tmp_path}")


def test_damaged_clevr_description_is_named(tmp_path: Path) -> None:
    clevr(tmp_path)
    (tmp_path / "CLEVR_001_2.json").write_text("[1.6]")
    with pytest.raises(DataError, match=r"CLEVR_001_2.json must be \[size"):
        concepts.load_split(concepts.resolve(f"clevr:{tmp_path}"), "train")
