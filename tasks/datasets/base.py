"""A captioned data set: its splits, and where their images are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from PIL import Image

from tasks.contract import DataError, Source, content_id
from tasks.datasets.holdout import Holdout

Place = TypeVar("Place")  # where an image is: a file, a member of a tar file, rows of a table
Entry = tuple[str, Place, tuple[str, ...]]  # id, place, captions
Splits = Mapping[str, Sequence[Entry[Place]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Images with at least one caption each. ``load`` reads an image when it is needed."""

    image_ids: tuple[str, ...]
    captions: tuple[tuple[str, ...], ...]  # one tuple per image
    load: Callable[[int], Image.Image]  # returns the i-th image, RGB

    def __len__(self) -> int:
        return len(self.image_ids)


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptionedImages(Generic[Place]):
    """A data set of any layout."""

    name: str  # as --data takes it, with an absolute path
    root: str  # what errors name
    splits: Splits[Place]
    read: Callable[[Place], Image.Image]  # returns an image, RGB
    compute_fingerprint: Callable[[], str]  # also checks every image
    how_to_add: str = "list its images"  # how a user adds a split

    def hold_out(self, holdout: Holdout) -> CaptionedImages[Place]:
        """Return the same images with part of train as val.

        Raises:
            DataError: if a val split exists already, or no train split.
        """
        splits = holdout.apply(self.splits, self.root, lambda entry: entry[0])
        return dataclasses.replace(
            self,
            name=f"{self.name}{holdout}",
            splits=splits,
            compute_fingerprint=lambda: content_id([self.compute_fingerprint(), str(holdout)]),
        )

    def source(self) -> Source:
        """Return the name and the fingerprint.

        Raises:
            DataError: if an image is damaged.
        """
        return Source(name=self.name, fingerprint=self.compute_fingerprint())

    def split(self, name: str) -> Split:
        """Return one split.

        Raises:
            DataError: if there is no such split.
        """
        if name not in self.splits:
            known = ", ".join(self.splits) or "none"
            fix = (
                f"add ,val=0.1 to --data ({self.name},val=0.1) to hold out a tenth of train, "
                f"{self.how_to_add}"
                if name == "val" and "train" in self.splits
                else self.how_to_add
            )
            raise DataError(
                f"{self.root} has the splits {known}, but got {name!r}; {fix}, or choose another "
                "split with --set split=NAME"
            )
        entries = self.splits[name]
        return Split(
            image_ids=tuple(entry[0] for entry in entries),
            captions=tuple(entry[2] for entry in entries),
            load=lambda index: self.read(entries[index][1]),
        )


class LazySplits(Mapping[str, Sequence[Entry[Place]]]):
    """Splits whose entries are read when they are needed, and once.

    A split without entries does not count.
    """

    def __init__(self, names: Sequence[str], read: Callable[[str], Sequence[Entry[Place]]]) -> None:
        self._names, self._read = tuple(names), read
        self._found: dict[str, Sequence[Entry[Place]]] = {}

    def __getitem__(self, name: str) -> Sequence[Entry[Place]]:
        if name not in self._found and name in self._names:
            self._found[name] = self._read(name)
        if not self._found.get(name):
            raise KeyError(name)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._names if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def check_entries(root: object, split: str, entries: Sequence[Entry[Place]]) -> None:
    """Raise an error if ids of a split are equal, or an image has no caption.

    Args:
        root: the data set, for errors.
        split: the name of the split.
        entries: its images.

    Raises:
        DataError: the message names the image.
    """
    seen: set[str] = set()
    for image_id, _, captions in entries:
        if image_id in seen:
            raise DataError(f"{root}: duplicate id {image_id!r} in {split}; remove one of them")
        seen.add(image_id)
        if not captions:
            raise DataError(f"{root}: {image_id} has no caption; add one or remove the image")
