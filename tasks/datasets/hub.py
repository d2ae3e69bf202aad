"""``hub:ID``: a data set of the Hugging Face Hub; ``hub_name`` documents the options.

The fingerprint covers the captions and the bytes of the images, so a copy in a folder is the same
data. That of a streamed data set covers its commit and the options instead.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from PIL import Image

from tasks.contract import DataError, content_id
from tasks.datasets.base import CaptionedImages, Entry, LazySplits, Splits, check_entries
from tasks.datasets.caption_columns import to_captions
from tasks.datasets.files import check_image, read_image
from tasks.datasets.hub_columns import Columns, choose_columns
from tasks.datasets.hub_images import ImageBytes
from tasks.datasets.hub_loading import is_commit, load_tables, load_texts
from tasks.datasets.hub_name import HubName, parse_hub_name
from tasks.datasets.hub_rows import Rows, StreamedRows, TableRows
from tasks.datasets.listings import is_text
from tasks.fingerprint import fingerprint_files, remember_fingerprint

Place = tuple[str, tuple[int, ...]]  # split and rows, of which all have the image
SPLITS = {"validation": "val", "valid": "val", "dev": "val", "restval": "train"}


def open_hub(text: str) -> CaptionedImages[Place]:
    """Read the captions of a data set of the Hub.

    Raises:
        DataError: if it cannot be loaded, or has no images with captions.
    """
    name = parse_hub_name(text)
    return _open_commit(name) if name.streaming and is_commit(name.revision) else _open(name)


@lru_cache(maxsize=4)  # a commit never changes, and listing its captions takes transfers
def _open_commit(name: HubName) -> CaptionedImages[Place]:
    return _open(name)


def _open(name: HubName) -> CaptionedImages[Place]:
    name, tables = load_tables(name)
    features = next(iter(tables.values())).features
    if features is None:
        raise DataError(f"{name.root} has no types of columns to stream by; remove ,streaming")
    columns = choose_columns(features, name)
    rows: TableRows | StreamedRows
    if name.streaming:
        texts = load_texts(name, columns.texts) or tables
        rows = StreamedRows(tables, texts, columns, name.rows)
    else:
        rows = TableRows(tables, columns, name.rows)
    images = ImageBytes(rows, name)
    splits = _splits(name, columns, rows, list(tables))

    def read(place: Place) -> Image.Image:
        return read_image(images.read(place[0], place[1][0]), images.shown(place[0], place[1][0]))

    def fingerprint() -> str:
        if isinstance(rows, StreamedRows):
            return _fingerprint_stream(name)
        return remember_fingerprint(
            rows.files(),
            str(name.options()),
            lambda: _fingerprint_rows(name, splits, images, has_ids=columns.id is not None),
        )

    return CaptionedImages(
        name=str(name),
        root=name.root,
        splits=splits,
        read=read,
        compute_fingerprint=fingerprint,
        how_to_add="use a data set that has it with captions",
    )


def _splits(name: HubName, columns: Columns, rows: Rows, own: Sequence[str]) -> Splits[Place]:
    """Return the images of each split, which are read when they are needed."""
    if columns.split is not None:
        found = _group(name, columns, rows, own)
        for split, entries in found.items():
            check_entries(name.root, split, entries)
        return {split: entries for split, entries in found.items() if entries}
    parts: dict[str, list[str]] = {}
    for part in own:
        parts.setdefault(SPLITS.get(part, part), []).append(part)

    def read(split: str) -> list[Entry[Place]]:
        entries = [e for each in _group(name, columns, rows, parts[split]).values() for e in each]
        check_entries(name.root, split, entries)
        return entries

    return LazySplits(list(parts), read)


Key = tuple[str, str, str]  # the part, the split in the data set's own words, and the id


def _group(
    name: HubName, columns: Columns, rows: Rows, parts: Sequence[str]
) -> dict[str, list[Entry[Place]]]:
    """Group rows by split, and rows of a part with the same id into one image with all captions."""
    found: dict[str, dict[Key, tuple[list[int], list[str]]]] = {}
    for part in parts:
        for number, values in rows.texts(part):
            where = f"{name.root}: row {number} of {part}"
            split = part if columns.split is None else values[columns.split]
            image_id = f"{part}/{number}" if columns.id is None else values[columns.id]
            image_id = str(image_id) if isinstance(image_id, int) else image_id
            if not is_text(image_id) or not is_text(split) or not image_id:
                raise DataError(f"{where} has no {'id' if is_text(split) else 'split'}; fix it")
            images = found.setdefault(SPLITS.get(split, split), {})
            numbers, captions = images.setdefault((part, split, image_id), ([], []))
            if numbers and name.streaming and name.id is None:  # nothing compares the images
                raise DataError(
                    f"{where} has the {columns.id} {image_id!r} of row {numbers[0]}; if they have "
                    f"the same image, add ,id={columns.id}, or else ,id=COLUMN of another column"
                )
            numbers.append(number)
            for column in columns.captions:
                captions.extend(to_captions(values[column], where))
    return {split: _entries(images) for split, images in found.items()}


def _entries(images: Mapping[Key, tuple[list[int], list[str]]]) -> list[Entry[Place]]:
    """Return the images of a split: none if no image has a caption, as in hidden test sets."""
    if not any(captions for _, captions in images.values()):
        return []
    uses = Counter(image_id for _, _, image_id in images)
    entries: list[Entry[Place]] = []
    for (part, split, image_id), (numbers, captions) in images.items():
        if uses[image_id] > 1:
            image_id = "/".join([*dict.fromkeys([part, split]), image_id])
        entries.append((image_id, (part, tuple(numbers)), tuple(dict.fromkeys(captions))))
    return entries


def _fingerprint_rows(
    name: HubName, splits: Splits[Place], images: ImageBytes, *, has_ids: bool
) -> str:
    """Return a hash of all captions and images, whose headers are checked.

    Raises:
        DataError: if there are no captions, if an image is damaged, if rows with the same id have
            different images, or if rows without ids have the same image.
    """
    if not splits:
        raise DataError(f"{name.root} has no captions; name their column with ,captions=COLUMN")
    digest = hashlib.blake2b(digest_size=16)
    seen: dict[str, str] = {}  # where an image was first, by its hash
    for split in sorted(splits):
        for image_id, (part, numbers), captions in splits[split]:
            first = images.read(part, numbers[0])
            check_image(first, images.shown(part, numbers[0]))
            for number in numbers[1:]:
                if images.read(part, number) != first:
                    raise DataError(
                        f"{images.shown(part, number)} has the id {image_id!r} of row {numbers[0]} "
                        "but another image; name a column of ids with ,id=COLUMN"
                    )
            found = hashlib.blake2b(first, digest_size=16).hexdigest()
            shown = images.shown(part, numbers[0])
            if seen.setdefault(found, shown) != shown and not has_ids:
                raise DataError(
                    f"{shown} has the image of {seen[found].removeprefix(f'{name.root}: ')}; if "
                    "images repeat, name the column of ids with ,id=COLUMN"
                )
            digest.update(content_id([split, image_id, list(captions), found]).encode())
    return digest.hexdigest()


def _fingerprint_stream(name: HubName) -> str:
    """Return a hash of the commit or the folder's files, and of the options."""
    options: dict[str, Any] = {key: list(value) for key, value in name.options().items()}
    if name.folder is None:
        return content_id([name.repo, name.revision, options])
    hidden = [f for f in name.folder.rglob("*") if f.is_file()]
    files = [f for f in hidden if not any(p[0] == "." for p in f.relative_to(name.folder).parts)]
    return content_id([fingerprint_files(name.folder, files), options])
