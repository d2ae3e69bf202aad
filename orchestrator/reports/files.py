"""Files that the user asks for by name: checked before anything is written, then written whole."""

from __future__ import annotations

import os
from pathlib import Path

from results.storage.atomic_write import replaced_file
from tasks.contract import RequestError


def check_target(path: str) -> None:
    """Refuse a file that cannot be written.

    Raises:
        RequestError: naming what is in the way.
    """
    file = Path(path)
    folder = file.parent
    if file.is_dir():
        raise RequestError(f"{path} cannot be written: it is a folder; name a file")
    if not folder.is_dir():
        raise RequestError(f"{path} cannot be written: there is no folder {folder}; create it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RequestError(f"{path} cannot be written: no permission in {folder}; name another")


def save_file(path: str, blob: bytes) -> None:
    """Write a file whole; an earlier one stays as it is if this fails.

    Raises:
        RequestError: if it cannot be written.
    """
    try:
        with replaced_file(path) as temporary:
            temporary.write_bytes(blob)
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}") from error
