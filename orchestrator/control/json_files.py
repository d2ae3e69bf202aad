"""Small JSON files of control and of the queue."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import pyarrow.fs

from results.storage.atomic_write import atomic_write
from results.storage.typed_json import decode, encode
from results.storage.whole_file import read_whole

T = TypeVar("T")


def write_json(filesystem: pyarrow.fs.FileSystem, path: str, value: Any) -> None:
    """Write a dataclass atomically.

    Raises:
        StoreError: if it cannot be written.
    """
    text = json.dumps(encode(value), ensure_ascii=False)
    atomic_write(filesystem, path, text.encode(), durable=False)


def read_json(filesystem: pyarrow.fs.FileSystem, path: str, kind: type[T]) -> T | None:
    """Read a dataclass; None if there is no such file, or it is damaged or cannot be read."""
    try:
        return decode(kind, json.loads(read_whole(filesystem, path)))
    except (OSError, ValueError, RecursionError):
        return None


def read_printable(filesystem: pyarrow.fs.FileSystem, path: str, kind: type[T]) -> T | None:
    """Do the same for a file that others may have written: its strings are safe to print."""
    found = read_json(filesystem, path, kind)
    return None if found is None else decode(kind, printable(encode(found)))


def printable(value: Any) -> Any:
    """Return a JSON value without characters that control a terminal."""
    if isinstance(value, str):
        return "".join(sign if sign.isprintable() else "?" for sign in value)
    if isinstance(value, list):
        return [printable(each) for each in value]
    if isinstance(value, dict):
        return {printable(key): printable(each) for key, each in value.items()}
    return value
