"""List the files of a folder, with their sizes and the time of the last write."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import pyarrow.fs

from results.redaction import redact
from results.storage.filesystem import open_filesystem
from results.storage.store import check_name
from tasks.contract import StoreError


def sweep_files(root: str, task: str, name: str) -> list[pyarrow.fs.FileInfo]:
    """Return every file in a sweep's folder, including weights and figures."""
    filesystem, base = open_filesystem(root)
    return list_files(filesystem, f"{base}/{check_name(task)}/{check_name(name)}")


def list_files(
    filesystem: pyarrow.fs.FileSystem, folder: str, *, recursive: bool = True
) -> list[pyarrow.fs.FileInfo]:
    """Return the files under a folder, sorted by path; none if there is no such folder.

    Raises:
        StoreError: if the folder cannot be read.
    """
    selector = pyarrow.fs.FileSelector(folder, allow_not_found=True, recursive=recursive)
    try:
        found = filesystem.get_file_info(selector)
    except OSError as error:
        raise StoreError(f"{folder} cannot be read: {redact(str(error))}") from None
    files = [info for info in found if info.type == pyarrow.fs.FileType.File]
    return sorted(files, key=lambda info: str(info.path))


def num_bytes(files: Iterable[pyarrow.fs.FileInfo]) -> int:
    """Return the total size of files in bytes."""
    return sum(info.size or 0 for info in files)


def last_write(files: Iterable[pyarrow.fs.FileInfo]) -> datetime | None:
    """Return the time of the last write to any of the files, in UTC; None if unknown."""
    return max((info.mtime for info in files if info.mtime is not None), default=None)
