"""Removes items. A crash at any moment leaves consistent sweeps, and the same command resumes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pyarrow.fs

from orchestrator.pruning.facts import PARTS, REMOVED, SweepFacts
from orchestrator.pruning.items import Item
from results.redaction import redact
from results.storage.atomic_write import atomic_write
from results.storage.run_lock import exclusive_lock
from tasks.contract import StoreError


def remove(item: Item) -> str:
    """Remove an item.

    Returns:
        A line on what was not removed; empty if everything was.

    Raises:
        StoreError: if a file cannot be deleted. Other files may have been deleted before.
    """
    if item.sweep is None:
        _delete_files(item)
        return ""
    with exclusive_lock(item.filesystem, item.sweep.path) as is_free:
        if not is_free:
            return f"Kept {item.of}: a run of it has just started."
        if item.kind == "sweep":
            return _remove_sweep(item, item.sweep)
        _delete_files(item)
        return ""


def _remove_sweep(item: Item, sweep: SweepFacts) -> str:
    """Remove a sweep, ``sweep.json`` first, so that a partly removed sweep is not taken for one."""
    filesystem, path = item.filesystem, sweep.path
    atomic_write(filesystem, f"{path}/{REMOVED}", b"")  # marks the folder in case of a crash
    for part in PARTS[:-1]:
        _delete(filesystem, f"{path}/{part}")
    _delete_files(item, leave=f"{path}/")
    _delete(filesystem, f"{path}/{REMOVED}")
    with _explained(path):
        others = filesystem.get_file_info(pyarrow.fs.FileSelector(path, allow_not_found=True))
    if others:
        names = ", ".join(sorted(info.base_name for info in others))
        return f"Kept {path}: it contains files that no sweep writes: {names}."
    _delete(filesystem, path)
    return ""


def _delete(filesystem: pyarrow.fs.FileSystem, path: str) -> None:
    """Delete a file, or a folder and its contents."""
    with _explained(path):
        info = filesystem.get_file_info(path)
        if info.type == pyarrow.fs.FileType.File:
            filesystem.delete_file(path)
        elif info.type == pyarrow.fs.FileType.Directory:
            filesystem.delete_dir(path)


def _delete_files(item: Item, leave: str = "") -> None:
    """Delete the item's files, except those under ``leave``, and folders that become empty."""
    folders: set[str] = set()
    for info in item.files:
        if leave and info.path.startswith(leave):
            continue
        with _explained(info.path), contextlib.suppress(FileNotFoundError):
            item.filesystem.delete_file(info.path)
        folders.add(info.path.rpartition("/")[0])
    if item.kind == "cached stage":
        return  # the folder belongs to the user
    for folder in sorted(folders, key=len, reverse=True):
        while item.filesystem.normalize_path(folder).rpartition("/")[2] and _is_ours(folder):
            selector = pyarrow.fs.FileSelector(folder, allow_not_found=True)
            with _explained(folder):
                if item.filesystem.get_file_info(selector):
                    break
                with contextlib.suppress(FileNotFoundError):
                    item.filesystem.delete_dir(folder)
            folder = folder.rpartition("/")[0]


def _is_ours(folder: str) -> bool:
    """Return whether a folder holds checkpoints, stages or weights, so that it may be deleted."""
    parts = folder.split("/")
    return parts[-1] == "weights" or bool({".checkpoints", ".stages"} & set(parts[-3:]))


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    """Convert errors of the file system to StoreError with the path."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        why = redact(error.strerror or str(error)).split(". Detail")[0]
        raise StoreError(f"cannot remove {path}: {why}") from None
