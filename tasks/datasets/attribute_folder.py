"""``folder:DIR``: images with attributes, listed in ``metadata.csv`` or ``metadata.jsonl``.

The layout is that of Hugging Face's imagefolder: the column ``file_name`` is the path of an image
relative to the file, and every other column is an attribute. The split of an image is in the column
``split`` if there is one, or else it is the name of the folder of the metadata file (``train/``,
``test/``). Images of the split ``train`` train the generator, and all others train and test the
judge. Metadata at the top of DIR without a column ``split`` has no splits: then of ten images of a
condition, five train the generator.

N images
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tasks.contract import DataError, Source
from tasks.datasets.attribute_metadata import Entry, distinct_values, read_metadata
from tasks.datasets.conditions import Array, Conditions, one_hot, to_code, to_digits
from tasks.datasets.files import check_photo, find_root, read_photo
from tasks.fingerprint import fingerprint_files

SIDE = 28  # pixels
SPLITS = ("train", "probe-train", "held-out", "probe-test")
_JUDGE = (*["probe-train"] * 3, "held-out", "probe-test")
_NO_SPLITS = (*["train"] * 5, *_JUDGE)
_OTHER = re.compile(r"\W+")
_SHOWN = 8  # names in an error


@dataclass(frozen=True, kw_only=True, slots=True)
class LabeledImages:
    """The images of a split; see ``AttributeImages``."""

    images: Array
    digits: Array
    encoded: Array

    def of(self, condition: str) -> Array:
        """Return the images of one condition."""
        return np.asarray(self.images[(self.digits == to_digits(condition)).all(1)])


@dataclass(frozen=True, kw_only=True)
class AttributeFolder:
    """The entries of a folder, by condition and split."""

    root: Path
    index: tuple[Path, ...]  # the metadata files
    values: tuple[tuple[str, ...], ...]  # the sorted values of each attribute
    entries: Mapping[str, Sequence[tuple[Entry, str]]]  # (entry, split) by code, sorted
    names: Mapping[str, str]  # by code: "red_circle"
    has_splits: bool

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of all conditions, sorted."""
        return tuple(self.entries)

    def describe(self, code: str) -> str:
        """Return a condition in words: ``"red circle"``."""
        return " ".join(self._values_of(code))

    def conditions(self, unseen: str | None) -> Conditions:
        """Return the conditions.

        Args:
            unseen: the names of those that do not train the generator, joined by ``+``. None: those
                without an image in the split ``train``, or without splits those that differ from
                the first condition in two or more attributes.

        Raises:
            DataError: if there is no such condition, or if the rest does not suffice for training.
        """
        left_out = self._without_training() | self._parse(unseen)
        if not left_out and not self.has_splits:
            first = min(self.entries)
            left_out = {c for c in self.entries if sum(map(str.__ne__, c, first)) >= 2}
        if not left_out:
            raise DataError(
                f"{self.root}: no condition is unseen; leave some out of training with "
                f"--set unseen=NAME+NAME, of {self._known()}"
            )
        seen = tuple(sorted(self.entries.keys() - left_out))
        self._check_seen(seen, left_out)
        sizes = tuple(map(len, self.values))
        codes = [*seen, *sorted(left_out)]
        return Conditions(
            seen=seen,
            unseen=tuple(sorted(left_out)),
            names={code: self.names[code] for code in codes},
            descriptions={code: self.describe(code) for code in codes},
            encoded={code: one_hot(code, sizes) for code in codes},
            sizes=sizes,
        )

    def _without_training(self) -> set[str]:
        return {
            code
            for code, entries in self.entries.items()
            if not any(split == "train" for _, split in entries)
        }

    def _parse(self, unseen: str | None) -> set[str]:
        codes = {name: code for code, name in self.names.items()}
        given = [] if unseen is None else [name.strip() for name in unseen.split("+")]
        for name in given:
            if name not in codes:
                raise DataError(
                    f"unseen={unseen}: {self.root} has no condition {name!r}; choose of "
                    f"{self._known()}"
                )
        return {codes[name] for name in given}

    def _known(self) -> str:
        names = list(self.names.values())
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return ", ".join(names[:_SHOWN]) + more

    def _values_of(self, code: str) -> list[str]:
        return [values[i] for values, i in zip(self.values, to_digits(code).tolist(), strict=True)]

    def _check_seen(self, seen: Sequence[str], unseen: set[str]) -> None:
        for code in sorted(unseen):
            for place, digit in enumerate(code):
                if not any(each[place] == digit for each in seen):
                    value = self._values_of(code)[place]
                    raise DataError(
                        f"{self.root}: no image that trains the generator has the value {value!r}, "
                        f"which the unseen condition {self.names[code]} has; choose other "
                        "conditions with --set unseen=NAME+NAME, or another column split"
                    )

    def files(self) -> list[Path]:
        """Return every file that a result can depend on."""
        return [*self.index, *(e.file for found in self.entries.values() for e, _ in found)]

    def load(self, split: str, codes: Sequence[str]) -> LabeledImages:
        """Read the images of a split with these conditions, cut to a square of 28 x 28 pixels."""
        sizes = tuple(map(len, self.values))
        found = [
            (code, entry.file)
            for code in codes
            for entry, each in self.entries[code]
            if each == split
        ]
        pictures = [
            ImageOps.fit(read_photo(file), (SIDE, SIDE), Image.Resampling.BOX) for _, file in found
        ]
        return LabeledImages(
            images=np.stack([np.asarray(picture) for picture in pictures]),
            digits=np.stack([to_digits(code) for code, _ in found]),
            encoded=np.array([one_hot(code, sizes) for code, _ in found], np.float32),
        )


def resolve(folder: str) -> Source:
    """Check a folder, make its path absolute, and compute its fingerprint.

    Raises:
        DataError: if the folder does not exist, or its metadata or images are damaged.
    """
    root = find_root(folder)
    found = read_folder(root)
    images = set(found.files()) - set(found.index)
    fingerprint = fingerprint_files(
        root, found.files(), lambda file: check_photo(file) if file in images else None
    )
    return Source(name=f"folder:{root}", fingerprint=fingerprint)


def read_folder(root: Path) -> AttributeFolder:
    """Read the metadata of a folder.

    Raises:
        DataError: if it is missing or malformed.
    """
    index, attributes, entries = read_metadata(root)
    if len(attributes) == 1:
        raise DataError(
            f"{root} has only the attribute {attributes[0]!r}; add a column for a second one, "
            "because an unseen condition is a new combination of values"
        )
    values = tuple(tuple(sorted(found)) for found in distinct_values(root, attributes, entries))
    return _by_condition(root, index, values, entries)


def _by_condition(
    root: Path,
    index: Sequence[Path],
    values: tuple[tuple[str, ...], ...],
    entries: Sequence[Entry],
) -> AttributeFolder:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        code = to_code([known.index(v) for known, v in zip(values, entry.values, strict=True)])
        found.setdefault(code, []).append(entry)
    found = {code: found[code] for code in sorted(found)}
    names = {
        code: "_".join(_OTHER.sub("-", value).strip("-") for value in found[code][0].values)
        for code in found
    }
    words = {code: " ".join(found[code][0].values) for code in found}
    for texts in (list(names.values()), list(words.values())):
        twice = next((text for text in texts if texts.count(text) > 1), None)
        if twice is not None:
            raise DataError(f"{root}: two conditions have the name {twice!r}; rename a value")
    return AttributeFolder(
        root=root,
        index=tuple(index),
        values=values,
        entries={code: _split(root, names[code], each) for code, each in found.items()},
        names=names,
        has_splits=entries[0].split is not None,
    )


def _split(root: Path, name: str, entries: Sequence[Entry]) -> list[tuple[Entry, str]]:
    """Give each image of a condition its split. The order is that of hashes of the file names."""
    ordered = sorted(entries, key=lambda entry: _rank(root, entry))
    has_splits = entries[0].split is not None
    judged = [entry for entry in ordered if entry.split != "train"]
    parts = _JUDGE if has_splits else _NO_SPLITS
    if len(judged) < len(parts):
        where = " outside of the split train" if has_splits else ""
        raise DataError(
            f"{root}: {name} has {len(judged)} images{where}, but {len(parts)} are needed; add "
            "some, or remove its images"
        )
    trained = [(entry, "train") for entry in ordered if entry.split == "train"]
    return trained + [(entry, parts[i % len(parts)]) for i, entry in enumerate(judged)]


def _rank(root: Path, entry: Entry) -> bytes:
    name = entry.file.relative_to(root) if entry.file.is_relative_to(root) else entry.file
    return hashlib.blake2b(name.as_posix().encode(), digest_size=16).digest()
