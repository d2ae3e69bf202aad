"""Small JSON files of control, which other users of a shared folder may have written."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import pyarrow.fs

from results.storage.atomic_write import atomic_write
from results.storage.typed_json import decode, encode

T = TypeVar("T")


def write_json(filesystem: pyarrow.fs.FileSystem, path: str, value: Any) -> None:
    """Write a dataclass atomically.

    Raises:
        StoreError: if it cannot be written.
    """
    text = json.dumps(encode(value), ensure_ascii=False)
    atomic_write(filesystem, path, text.encode(), durable=False)


def read_json(filesystem: pyarrow.fs.FileSystem, path: str, kind: type[T]) -> T | None:
    """Read a dataclass; None if there is no such file, or it is damaged."""
    try:
        with filesystem.open_input_stream(path) as stream:
            return decode(kind, _printable(json.loads(bytes(stream.read()))))
    except (OSError, ValueError, RecursionError):
        return None


def _printable(value: Any) -> Any:
    """Return a JSON value without characters that control a terminal."""
    if isinstance(value, str):
        return "".join(sign if sign.isprintable() else "?" for sign in value)
    if isinstance(value, list):
        return [_printable(each) for each in value]
    if isinstance(value, dict):
        return {_printable(key): _printable(each) for key, each in value.items()}
    return value
