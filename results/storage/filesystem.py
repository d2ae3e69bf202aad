"""Open and check the folder or bucket of results."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.fs

from results.redaction import redact
from tasks.contract import StoreError


def open_filesystem(root: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """Return the filesystem and the path of a local folder or an ``s3://`` or ``gs://`` URI.

    Raises:
        StoreError: if ``root`` is empty or an unknown kind of URI.
    """
    if not root.strip():
        raise StoreError("the results folder must not be empty; give a folder or a URI")
    if "://" not in root:
        return pyarrow.fs.LocalFileSystem(), os.path.abspath(os.path.expanduser(root))
    try:
        filesystem, path = _opened(root, os.getpid(), _cloud_settings())
    except (pa.ArrowException, OSError, ValueError) as error:
        why = redact(str(error)).split(". Detail")[0].rstrip(".")
        raise StoreError(
            f"{redact(root)} cannot be opened: {why}; give a folder, s3://BUCKET/PATH or "
            "gs://BUCKET/PATH"
        ) from None
    path = path.rstrip("/")
    if not path:
        raise StoreError(f"{redact(root)} has no folder or bucket; add one")
    return filesystem, path


@functools.lru_cache(maxsize=16)
def _opened(
    uri: str, pid: int, settings: frozenset[tuple[str, str]]
) -> tuple[pyarrow.fs.FileSystem, str]:
    """Open a filesystem once per process and settings, because a client keeps its connections.

    Otherwise, every checkpoint of every member of a pack would open a new connection.
    """
    filesystem, path = pyarrow.fs.FileSystem.from_uri(uri)
    return filesystem, path


def _cloud_settings() -> frozenset[tuple[str, str]]:
    """Return the environment variables that clients read: keys, regions, endpoints, proxies."""
    return frozenset(
        (name, value)
        for name, value in os.environ.items()
        if name.startswith(("AWS_", "GOOGLE_", "CLOUDSDK_")) or name.lower().endswith("_proxy")
    )


def absolute(root: str) -> str:
    """Return an absolute path or the URI, because workers run in other folders."""
    return root if "://" in root else os.path.abspath(os.path.expanduser(root))


def check_output_folder(option: str, root: str) -> None:
    """Raise an error if results cannot be written to a folder, before anything is written.

    Raises:
        StoreError: the message names the problem.
    """
    filesystem, path = open_filesystem(root)
    if not isinstance(filesystem, pyarrow.fs.LocalFileSystem):
        return  # for a bucket, the first write raises an error
    try:
        existing = next(p for p in (Path(path), *Path(path).parents) if os.path.lexists(p))
        if not existing.is_dir():
            raise StoreError(
                f"{option} {root}: {existing} is not a folder; give another, or remove it"
            )
        too_long = [part for part in Path(path).parts if len(os.fsencode(part)) > 255]
    except (OSError, ValueError) as error:
        raise StoreError(f"{option} {root} cannot be a folder: {error}; give another") from None
    if too_long:
        raise StoreError(
            f"{option}: the name {too_long[0][:20]}... is too long; give a shorter one"
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise StoreError(f"{option} {root}: {existing} is not writable; give another")
