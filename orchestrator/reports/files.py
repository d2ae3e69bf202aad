"""Files that the user asks for by name: checked before anything is written, then written whole."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

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
    """Write a file beside its name and rename it, so that it is whole or not there.

    Raises:
        RequestError: if it cannot be written.
    """
    beside = f"{path}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        try:
            Path(beside).write_bytes(blob)
            os.replace(beside, path)
        finally:
            Path(beside).unlink(missing_ok=True)
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}") from error
