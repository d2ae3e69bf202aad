"""Read the files that list images and captions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tasks.contract import DataError


def read_text(file: Path) -> str:
    r"""Return the text of a file, whose lines end in ``\n``.

    Split it with ``split("\n")``: ``splitlines`` also splits at characters that captions have, such
    as U+2028.

    Raises:
        DataError: if it is missing or not UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"captions missing: {file}; add the file") from None
    except UnicodeDecodeError:
        raise DataError(f"{file} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}; replace it") from None


def read_json(file: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        DataError: if it is missing or not JSON.
    """
    try:
        return json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not valid JSON: {error}; fix or replace it") from None


def is_text(value: Any) -> bool:
    """Return whether a value is a string that can be stored in files and tables."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
        return True
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def check_name(value: Any) -> str:
    """Return the name of an image or a split.

    Raises:
        TypeError: if it is not a nonempty string.
    """
    if not is_text(value) or not value or "\0" in value:
        raise TypeError(f"a name must be a nonempty string, but got {value!r}")
    return str(value)


def clean_captions(captions: Any, where: str) -> tuple[str, ...]:
    """Collapse white space in one caption or a list of them, and drop empty captions.

    Raises:
        DataError: if they are neither. The message begins with ``where``.
    """
    found = [captions] if isinstance(captions, str) else captions
    if not isinstance(found, list) or not all(is_text(each) for each in found):
        shown = repr(found)[:80]
        raise DataError(f"{where}: captions must be a string or a list of strings, but got {shown}")
    return tuple(text for each in found if (text := " ".join(each.split())))
