"""Checks and writes files that the user names."""

from __future__ import annotations

import os
from pathlib import Path

from results.storage.atomic_write import atomic_file
from tasks.contract import RequestError


def check_target(path: str) -> None:
    """Check that a file can be written.

    Raises:
        RequestError: if it cannot.
    """
    file = Path(path)
    folder = file.parent
    if file.is_dir():
        raise RequestError(f"{path} cannot be written: it is a folder; name a file")
    if not folder.is_dir():
        raise RequestError(f"{path} cannot be written: no such folder: {folder}; create it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RequestError(
            f"{path} cannot be written: no write permission for {folder}; name another folder"
        )


def save_file(path: str, blob: bytes) -> None:
    """Write a file atomically.

    Raises:
        RequestError: if it cannot be written. An existing file is unchanged then.
    """
    try:
        with atomic_file(path) as temporary:
            temporary.write_bytes(blob)
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}") from error
