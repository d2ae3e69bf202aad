"""Read ``metadata.csv`` or ``metadata.jsonl``, which list images and their attributes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.contract import DataError
from tasks.datasets.conditions import MAX_VALUES

FILE, SPLIT = "file_name", "split"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """An image file with the values of its attributes."""

    file: Path
    values: tuple[str, ...]
    split: str | None


def read_metadata(root: Path) -> tuple[list[Path], list[str], list[Entry]]:
    """Return the metadata files under ``root``, the names of the attributes, and all entries.

    Raises:
        DataError: if the metadata is missing or malformed, or an image is missing.
    """
    index = sorted(f for kind in ("csv", "jsonl") for f in root.glob(f"**/metadata.{kind}"))
    if not index:
        raise DataError(
            f"{root} has no metadata.csv or metadata.jsonl; add one with the column {FILE} and a "
            "column for each attribute"
        )
    entries: list[Entry] = []
    attributes: list[str] | None = None
    for file in index:
        for number, row in _rows(file):
            names = [name for name in row if name not in (FILE, SPLIT)]
            attributes = names if attributes is None else attributes
            if sorted(names) != sorted(attributes):
                raise DataError(
                    f"{file}, line {number}: the attributes are {', '.join(names) or 'missing'}, "
                    f"but those before are {', '.join(attributes)}; give every image the same ones"
                )
            entries.append(_entry(root, file, number, row, attributes))
    if not entries or not attributes:
        what = "no image" if not entries else f"no column besides {FILE} and {SPLIT}"
        raise DataError(f"{index[0]} has {what}; add one line per image and a column per attribute")
    _check_entries(root, entries)
    return index, attributes, entries


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{file} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}; replace it") from None
    if file.suffix == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        try:
            for row in reader:
                if None in row or None in row.values():
                    raise csv.Error("its number of cells differs from the header's")
                yield reader.line_num, row
        except csv.Error as error:
            raise DataError(f"{file}, line {reader.line_num}: {error}; fix it") from None
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{file}, line {number} is not JSON: {error}; fix it") from None
            if not isinstance(row, dict):
                raise DataError(f"{file}, line {number} must be an object with {FILE}; fix it")
            yield number, row


def _entry(
    root: Path, file: Path, number: int, row: Mapping[str, Any], attributes: Sequence[str]
) -> Entry:
    if FILE not in row:
        raise DataError(f"{file}, line {number} has no {FILE}; add the path of the image")
    texts = {}
    for name in (FILE, *attributes, *([SPLIT] if SPLIT in row else [])):
        value = row[name]
        if not isinstance(value, str | int | float) or not str(value).strip() or "\0" in str(value):
            raise DataError(
                f"{file}, line {number}: {name} must be a word or a number, but is {value!r}"[:300]
            )
        texts[name] = str(value).strip()
    default = file.parent.name if file.parent != root else None
    return Entry(
        file=file.parent / texts[FILE],
        values=tuple(texts[name] for name in attributes),
        split=texts.get(SPLIT, default),
    )


def _check_entries(root: Path, entries: Sequence[Entry]) -> None:
    seen: set[Path] = set()
    for entry in entries:
        if entry.file in seen:
            raise DataError(f"{root}: {entry.file} is listed twice; remove one of the lines")
        seen.add(entry.file)
        if not entry.file.is_file():
            raise DataError(f"{root}: image missing: {entry.file}; add the file or remove its line")
    splits = {entry.split for entry in entries}
    if splits != {None} and "train" not in splits:
        known = ", ".join(sorted(str(split) for split in splits))
        raise DataError(f"{root} has the splits {known}, but no split train; rename one")
    if splits == {"train"}:
        raise DataError(
            f"{root} has only the split train; add a split test with images of all conditions, "
            f"which train and test the judge, or remove the column {SPLIT}"
        )
    if None in splits and len(splits) > 1:
        raise DataError(f"{root}: only some images have a {SPLIT}; give every image one")


def distinct_values(
    root: Path, attributes: Sequence[str], entries: Sequence[Entry]
) -> Iterator[set[str]]:
    """Yield the values of each attribute.

    Raises:
        DataError: if there are too few or too many.
    """
    for name, column in zip(
        attributes, zip(*(e.values for e in entries), strict=True), strict=True
    ):
        values = set(column)
        if not 2 <= len(values) <= MAX_VALUES:
            raise DataError(
                f"{root}: the attribute {name!r} has {len(values)} values, but 2 to {MAX_VALUES} "
                "are possible; remove the column from the metadata"
            )
        yield values
