"""Replace files and folders atomically, even if the writer is killed.

On a disk, the content is written to a temporary file in the same folder, which is then renamed. In
an object store, writing an object is atomic. A killed writer leaves its temporary file behind,
which readers ignore because its name ends in ``.tmp``.

``tasks/fingerprint.py`` has its own code for this, because tasks do not import ``results``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.fs

from tasks.contract import StoreError

TEMPORARY = ".tmp"  # the end of the names of temporary files
#: The part that a temporary file's name adds to the file's name, as a regular expression.
TEMPORARY_PATTERN = r"\.[0-9a-f]+\.tmp"


def atomic_write(
    filesystem: pyarrow.fs.FileSystem, path: str, blob: bytes, *, durable: bool = True
) -> None:
    """Write a file atomically: if this fails, an existing file is unchanged.

    Args:
        filesystem: the filesystem of ``path``.
        path: the file. Its folder must exist.
        blob: its content.
        durable: whether the file must survive a power cut from now on. Otherwise, call
            ``make_durable`` later.

    Raises:
        StoreError: if it cannot be written.
    """
    try:
        if isinstance(filesystem, pyarrow.fs.LocalFileSystem):
            with atomic_file(path, durable=durable) as temporary:
                temporary.write_bytes(blob)
        else:
            _upload_uninterrupted(filesystem, path, blob)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error


def _upload_uninterrupted(filesystem: pyarrow.fs.FileSystem, path: str, blob: bytes) -> None:
    """Upload an object in a thread, where no signal handler can raise an exception.

    Closing pyarrow's stream completes the upload, and so does its destructor. An exception between
    opening and writing (Ctrl-C, or the SIGTERM that Ray sends to a worker whose driver has died)
    would replace the object with an empty one.
    """

    def upload() -> None:
        with filesystem.open_output_stream(path) as stream:
            stream.write(blob)

    with ThreadPoolExecutor(max_workers=1) as pool:  # waits for the upload even if interrupted
        pool.submit(upload).result()


@contextlib.contextmanager
def atomic_file(path: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path on this machine's disk, which is renamed to ``path`` at the end.

    If the block raises an error, the temporary file is deleted and ``path`` is unchanged.

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
            temporary.unlink()  # free the space, in case the disk is full
        raise
    if durable:
        _sync(Path(path).parent)  # so that the new name also survives a power cut


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder on this machine's disk, which replaces ``target`` at the end.

    If the block raises an error, the temporary folder is deleted and ``target`` is unchanged. If
    the process is killed between the two renames, the old folder remains, under the name
    ``.<name>.<random>.old``.

    Raises:
        OSError: if the folder cannot be created or renamed.
    """
    suffix = uuid.uuid4().hex[:8]
    temporary = target.parent / f".{target.name}.{suffix}{TEMPORARY}"
    earlier = target.parent / f".{target.name}.{suffix}.old"
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
    """Make sure that a file that was written without ``durable`` survives a power cut.

    Does nothing for an object store, where every file is durable.

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
