"""Files and folders that are replaced whole or not at all, also when the writer is killed.

On a disk, the content is written to a temporary file in the same folder and renamed. An object
store replaces an object at once, so there the path itself is written. A killed writer leaves its
temporary file behind; no reader takes it for a result, because its name ends in ``.tmp``.

``tasks/fingerprint.py`` replaces its cache on its own: tasks do not import ``results``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs

from tasks.contract import StoreError

TEMPORARY = ".tmp"  # how the names of temporary files end
#: What a temporary file's name has more than the file's, as a regular expression.
TEMPORARY_PATTERN = r"\.[0-9a-f]+\.tmp"


def atomic_write(
    filesystem: pyarrow.fs.FileSystem, path: str, blob: bytes, *, durable: bool = True
) -> None:
    """Write a file whole; an earlier one is replaced, or left as it is if this fails.

    Args:
        filesystem: the filesystem of ``path``.
        path: the file. Its folder must exist.
        blob: its content.
        durable: whether it must survive a power cut once this returns. If not, ``make_durable``
            can follow later.

    Raises:
        StoreError: if it cannot be written.
    """
    try:
        if isinstance(filesystem, pyarrow.fs.LocalFileSystem):
            with replaced_file(path, durable=durable) as temporary:
                temporary.write_bytes(blob)
        else:
            with filesystem.open_output_stream(path) as stream:
                stream.write(blob)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error


@contextlib.contextmanager
def replaced_file(path: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """A temporary path to write on this machine's disk; it takes the name ``path`` at the end.

    If the block raises, the temporary file is deleted and ``path`` stays as it was.

    Raises:
        OSError: if the file cannot be synchronized or renamed.
    """
    temporary = Path(f"{path}.{uuid.uuid4().hex[:8]}{TEMPORARY}")
    try:
        yield temporary
        if durable:
            _sync(temporary)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()  # a full disk needs the room
        raise
    if durable:
        _sync(Path(path).parent)  # the new name, too, survives a power cut


@contextlib.contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """A new folder to fill on this machine's disk; it takes the place of ``target`` at the end.

    If the block raises, the new folder is deleted and ``target`` stays as it was. A process that is
    killed between the two renames leaves the earlier folder beside, as ``.<name>.<draw>.old``.

    Raises:
        OSError: if the folder cannot be made or renamed.
    """
    draw = uuid.uuid4().hex[:8]
    temporary = target.parent / f".{target.name}.{draw}{TEMPORARY}"
    earlier = target.parent / f".{target.name}.{draw}.old"
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if target.is_dir():
            target.rename(earlier)
        try:
            temporary.rename(target)
        except OSError:
            if earlier.is_dir():
                earlier.rename(target)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(earlier, ignore_errors=True)


def make_durable(filesystem: pyarrow.fs.FileSystem, path: str) -> None:
    """Make a file survive a power cut that was written without ``durable``.

    Does nothing for an object store, which has made it durable already.

    Raises:
        StoreError: if there is no such file, or it cannot be synchronized.
    """
    if not isinstance(filesystem, pyarrow.fs.LocalFileSystem):
        return
    try:
        _sync(Path(path))
        _sync(Path(path).parent)
    except OSError as error:
        raise StoreError(f"cannot synchronize {path}: {error.strerror or error}") from error


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
