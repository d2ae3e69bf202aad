"""Folders of images with attributes: metadata, conditions, splits and errors."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attribute_folders import draw_attribute_folder, write_metadata
from PIL import Image

from tasks.contract import DataError
from tasks.datasets import attribute_folder
from tasks.datasets.attribute_folder import read_folder as read
from tasks.datasets.conditions import MAX_VALUES, one_hot, to_code, to_digits

NAMES = (
    *("circle_blue", "circle_dark-green", "circle_red"),
    *("triangle_blue", "triangle_dark-green", "triangle_red"),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_attribute_folder(tmp_path_factory.mktemp("images"), 10)


def test_codes_are_base_36() -> None:
    assert to_code([0, 1, 35]) == "01z"
    assert to_digits("01z").tolist() == [0, 1, 35]
    assert len({to_code([value]) for value in range(MAX_VALUES)}) == MAX_VALUES
    assert one_hot("12", (2, 3)) == (0, 1, 0, 0, 1)


def test_conditions_are_the_combinations_in_the_metadata(root: Path) -> None:
    found = read(root).conditions(None)
    assert found.sizes == (2, 3)
    assert tuple(found.names[code] for code in sorted(found.codes)) == NAMES
    # Without splits, those that differ from the first in both attributes are unseen.
    assert [found.names[code] for code in found.unseen] == ["triangle_dark-green", "triangle_red"]
    assert found.descriptions["11"] == "triangle dark green"
    assert found.encoded["11"] == (0, 1, 0, 1, 0)


def test_unseen_names_the_conditions_left_out_of_training(root: Path) -> None:
    found = read(root).conditions("circle_red+triangle_blue")
    assert [found.names[code] for code in found.unseen] == ["circle_red", "triangle_blue"]
    train = read(root).load("train", found.seen)
    assert {to_code(row) for row in train.digits.tolist()} == set(found.seen)
    for name, message in (
        (
            "circle_pink",
            r"has no condition 'circle_pink'; choose of circle_blue, ",
        ),
        ("circle_red+triangle_red", "no image that trains the generator has the value 'red'"),
        ("+".join(NAMES), "no image that trains the generator has the value"),
    ):
        with pytest.raises(DataError, match=message):
            read(root).conditions(name)


def test_splits_are_disjoint_and_complete(root: Path) -> None:
    folder = read(root)
    codes = folder.conditions(None).codes
    parts = {name: folder.load(name, codes) for name in attribute_folder.SPLITS}
    assert [len(part.images) for part in parts.values()] == [30, 18, 6, 6]
    for one, other in itertools.combinations(parts.values(), 2):
        assert not {i.tobytes() for i in one.images} & {i.tobytes() for i in other.images}
    for part in parts.values():
        assert part.encoded.shape == (len(part.images), 5)
        for digits, encoded in zip(part.digits, part.encoded, strict=True):
            assert tuple(encoded) == one_hot(to_code(digits.tolist()), (2, 3))


def split_of(index: int) -> str:
    return "train" if index < 2 else "test"


def test_split_column_decides_what_trains(root: Path, tmp_path: Path) -> None:
    rows = [
        {"file_name": str(file), "shape": shape, "color": color, "split": split_of(int(index))}
        for file in sorted(root.glob("*.png"))
        for shape, color, index in [re.fullmatch(r"(\w+) ([\w ]+) (\d+)", file.stem).groups()]  # type: ignore[union-attr]
        if (shape, color, split_of(int(index))) != ("triangle", "red", "train")
    ]
    write_metadata(tmp_path, rows)
    folder = read(tmp_path)
    found = folder.conditions(None)
    assert [found.names[code] for code in found.unseen] == ["triangle_red"]
    assert len(folder.load("train", found.seen).images) == 5 * 2
    judged = [len(folder.load(n, found.codes).images) for n in attribute_folder.SPLITS[1:]]
    assert sum(judged) == 6 * 8
    more = folder.conditions("circle_blue")  # in addition to those without training images
    assert [more.names[code] for code in more.unseen] == ["circle_blue", "triangle_red"]


def test_folders_with_jsonl_are_splits(root: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        lines = []
        for file in sorted(root.glob("*.png")):
            shape, *_, index = file.stem.split()
            if split_of(int(index)) == split:
                (tmp_path / split / file.name).write_bytes(file.read_bytes())
                entry = {"file_name": file.name, "is_round": shape == "circle", "blue": 1.5}
                lines.append(json.dumps(entry | {"blue": "blue" in file.stem}))
        (tmp_path / split / "metadata.jsonl").write_text("\n".join(lines))
    folder = read(tmp_path)
    assert folder.values == (("False", "True"), ("False", "True"))
    found = folder.conditions("True_True")
    assert len(found.seen) == 3
    with pytest.raises(DataError, match=r"no condition is unseen; leave some out .* unseen=NAME"):
        folder.conditions(None)


def test_images_are_cut_to_a_square(root: Path, tmp_path: Path) -> None:
    folder = draw_attribute_folder(tmp_path / "d", 10)
    wide = np.zeros((56, 112, 3), np.uint8)
    wide[:, 28:84] = (200, 100, 50)
    for file in folder.glob("circle blue *.png"):
        Image.fromarray(wide).save(file)
    found = read(folder)
    images = found.load("train", ["00"]).images
    assert images.shape == (5, 28, 28, 3)
    assert (images == (200, 100, 50)).all()


def test_fingerprint_depends_on_content_and_not_on_the_place(root: Path, tmp_path: Path) -> None:
    copy = draw_attribute_folder(tmp_path / "copy", 10)
    first, second = attribute_folder.resolve(str(root)), attribute_folder.resolve(str(copy))
    assert first.content() == second.content()
    text = (copy / "metadata.csv").read_text()
    (copy / "metadata.csv").write_text(text.replace("dark green\n", "green\n"))
    assert attribute_folder.resolve(str(copy)).fingerprint != first.fingerprint


Change = Callable[[list[dict[str, Any]]], Any]
ERRORS: dict[str, tuple[Change, str]] = {
    "no file_name": (lambda rows: [r.pop("file_name") for r in rows], "line 2 has no file_name"),
    "empty value": (lambda rows: rows[1].update(color=" "), "line 3: color must be a word"),
    "missing image": (lambda rows: rows[0].update(file_name="no.png"), "image missing: .*no.png"),
    "listed twice": (lambda rows: rows.append(dict(rows[0])), "is listed twice"),
    "no attribute": (
        lambda rows: [(r.pop("shape"), r.pop("color")) for r in rows],
        "no column besides file_name and split",
    ),
    "one attribute": (
        lambda rows: [row.pop("color") for row in rows],
        "has only the attribute 'shape'; add a column for a second one",
    ),
    "one value": (lambda rows: [r.update(shape="x") for r in rows], "'shape' has 1 values, but 2"),
    "a text": (
        lambda rows: [r.update(shape=f"text {i}") for i, r in enumerate(rows)],
        "'shape' has 60 values, but 2 to 36 are possible; remove the column",
    ),
    "few images": (lambda rows: rows.pop(), "triangle_red has 9 images, but 10 are needed"),
    "no train": (
        lambda rows: [r.update(split="val") for r in rows],
        "the splits val, but no",
    ),
    "only train": (
        lambda rows: [r.update(split="train") for r in rows],
        "has only the split train",
    ),
    "little test": (
        lambda rows: [r.update(split=split_of(i % 10 // 3)) for i, r in enumerate(rows)],
        "circle_blue has 4 images outside of the split train, but 5 are needed",
    ),
    "same name": (
        lambda rows: [r.update(color="dark-green") for r in rows if r["color"] == "red"],
        "two conditions have the name 'circle_dark-green'; rename a value",
    ),
    "unseen value": (
        lambda rows: [
            r.update(split="test" if r["color"] == "red" else split_of(i % 10 // 2))
            for i, r in enumerate(rows)
        ],
        "no image that trains the generator has the value 'red'",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_malformed_metadata_is_one_clear_line(name: str, tmp_path: Path) -> None:
    folder = draw_attribute_folder(tmp_path / "d", 10)
    rows = [
        dict(zip(("file_name", "shape", "color"), line.split(","), strict=True))
        for line in (folder / "metadata.csv").read_text().splitlines()[1:]
    ]
    change, message = ERRORS[name]
    change(rows)
    write_metadata(folder, rows)
    with pytest.raises(DataError, match=message) as found:
        read(folder).conditions(None)
    assert "\n" not in str(found.value)
    assert str(folder) in str(found.value)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "other.csv",
            "",
            "has no metadata.csv or metadata.jsonl; add one with the column",
        ),
        ("metadata.csv", "", "has no image; add one line per image"),
        ("metadata.csv", "file_name,a\nx.png,1,2\n", "line 2: its number of cells differs"),
        ("metadata.csv", 'file_name,a\n"x.png,1\n', "unexpected end of data; fix it"),
        ("metadata.jsonl", "{", "line 1 is not JSON: .*; fix it"),
        ("metadata.jsonl", "[1]", "line 1 must be an object with file_name"),
        ("metadata.jsonl", '{"file_name": "x.png", "a": [1]}', r"line 1: a must be .* is \[1\]"),
        ("metadata.jsonl", '{"file_name": null, "a": 1}', "file_name must be .* is None"),
    ],
)
def test_unreadable_metadata_is_one_clear_line(
    file: str, text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(DataError, match=message) as found:
        read(tmp_path)
    assert "\n" not in str(found.value)


def test_other_encodings_and_attributes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_bytes("file_name,a\nx.png,\xe9\n".encode("latin-1"))
    with pytest.raises(DataError, match="is not UTF-8; save it as UTF-8"):
        read(tmp_path)
    lines = ['{"file_name": "x.png", "a": 1}', '{"file_name": "y.png", "b": 1}']
    (tmp_path / "metadata.csv").unlink()
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError, match="line 2: the attributes are b, but those before are a"):
        read(tmp_path)
