"""Removes items. A crash at any moment leaves consistent sweeps, and the same command resumes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pyarrow.fs

from orchestrator.pruning.facts import PARTS, REMOVED, SweepFacts
from orchestrator.pruning.items import Item
from results.storage.atomic_write import atomic_write
from results.storage.filesystem import redact
from results.storage.run_lock import prune_lock
from tasks.contract import StoreError


def remove(item: Item) -> str:
    """Remove an item; a line on what of it is still there, "" if nothing is.

    Raises:
        StoreError: if something cannot be deleted. What was deleted before is gone.
    """
    if item.sweep is None:
        _delete_files(item)
        return ""
    with prune_lock(item.filesystem, item.sweep.path) as is_free:
        if not is_free:
            return f"{item.of} is kept: a run of it has just started."
        if item.kind == "sweep":
            return _remove_sweep(item, item.sweep)
        _delete_files(item)
        return ""


def _remove_sweep(item: Item, sweep: SweepFacts) -> str:
    """``sweep.json`` first: half a sweep must never look like a whole one."""
    filesystem, path = item.filesystem, sweep.path
    atomic_write(filesystem, f"{path}/{REMOVED}", b"")  # by this the rest is found after a crash
    for part in PARTS[:-1]:
        _delete(filesystem, f"{path}/{part}")
    _delete_files(item, leave=f"{path}/")
    _delete(filesystem, f"{path}/{REMOVED}")
    with _explained(path):
        others = filesystem.get_file_info(pyarrow.fs.FileSelector(path, allow_not_found=True))
    if others:
        names = ", ".join(sorted(info.base_name for info in others))
        return f"{path} still holds {names}, which no sweep writes."
    _delete(filesystem, path)
    return ""


def _delete(filesystem: pyarrow.fs.FileSystem, path: str) -> None:
    """Delete a file, or a folder with what is in it."""
    with _explained(path):
        info = filesystem.get_file_info(path)
        if info.type == pyarrow.fs.FileType.File:
            filesystem.delete_file(path)
        elif info.type == pyarrow.fs.FileType.Directory:
            filesystem.delete_dir(path)


def _delete_files(item: Item, leave: str = "") -> None:
    """Delete the item's files, but for those under ``leave``; and folders that are empty then."""
    folders: set[str] = set()
    for info in item.files:
        if leave and info.path.startswith(leave):
            continue
        with _explained(info.path), contextlib.suppress(FileNotFoundError):
            item.filesystem.delete_file(info.path)
        folders.add(info.path.rpartition("/")[0])
    if item.kind == "cached stage":
        return  # the folder is the user's
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
    """Whether a folder is one of checkpoints, stages or weights, so that it may go when empty."""
    parts = folder.split("/")
    return parts[-1] == "weights" or bool({".checkpoints", ".stages"} & set(parts[-3:]))


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    """Errors of the filesystem as ours, with the path."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        why = redact(error.strerror or str(error)).split(". Detail")[0]
        raise StoreError(f"cannot remove {path}: {why}") from None
