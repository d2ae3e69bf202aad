"""Find the captions among the columns of a table, or the keys of a JSON object."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tasks.contract import DataError
from tasks.datasets.listings import clean_captions

NAMES = (
    *("caption", "captions", "sentence", "sentences", "sentences_raw"),
    *("text", "texts", "txt"),
)
_NUMBERED = re.compile(r"(?P<name>caption|sentence|text)s?_?(?P<number>\d+)", re.IGNORECASE)


def choose_captions(names: Sequence[str], given: Sequence[str], where: str) -> list[str]:
    """Return the columns with captions: the given ones, or those with a usual name.

    Args:
        names: the names of all columns.
        given: the values of the option ``captions``.
        where: begins the message of an error.

    Raises:
        DataError: if a given column does not exist, or if none or several have a usual name.
    """
    shown = ", ".join(names)[:200]
    for name in given:
        if name not in names:
            raise DataError(f"{where} has no column {name!r}; choose captions= of {shown}")
    if given:
        return list(given)
    found = [name for name in names if name.casefold() in NAMES]
    if len(found) == 1:
        return found
    if not found:  # caption_0, caption_1, ...
        numbered = sorted((int(m["number"]), m[0]) for m in map(_NUMBERED.fullmatch, names) if m)
        found = [name for _, name in numbered]
        if found and len({number for number, _ in numbered}) == len(found):
            return found
    what = f"captions in {' or '.join(found)}" if found else f"no captions among {shown}"
    raise DataError(f"{where} has {what}; name the column: add ,captions=NAME to --data")


def to_captions(value: Any, where: str) -> tuple[str, ...]:
    """Return the captions in a value: a text, a list of texts, or objects with the key ``raw``.

    Raises:
        DataError: if the value is neither. The message begins with ``where``.
    """
    if value is None:
        return ()
    if isinstance(value, dict) and "raw" in value:  # a list of objects, by columns
        value = value["raw"]
    if isinstance(value, list):
        value = [each.get("raw", each) if isinstance(each, dict) else each for each in value]
    return clean_captions(value, where)
