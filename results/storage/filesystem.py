"""Where results lie: a folder or a bucket, opened, checked, and told without its secrets."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.fs

from tasks.contract import StoreError

# Credentials before an @ (also with a / in them), and values of query parameters named as secrets.
_BEFORE_AT = re.compile(r"(?<=://)\S*@|(?<![^\s='\"])[^\s@/='\"]+:[^\s@/='\"]+@")
_IN_QUERY = re.compile(
    r"(?i)([?&][^=&\s]*(?:key|secret|token|passw|credential|sig|auth)[^=&\s]*=)[^&\s'\"]+"
)


def redact(text: str) -> str:
    """The text with credentials in its addresses replaced: ``s3://***@bucket``."""
    return _IN_QUERY.sub(r"\1***", _BEFORE_AT.sub("***@", text))


def open_filesystem(root: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """The filesystem and path of a local folder or an ``s3://`` or ``gs://`` URI.

    Raises:
        StoreError: if it is empty, or a URI of no known kind.
    """
    if not root.strip():
        raise StoreError("a place for results must not be empty: give a folder or a URI")
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
        raise StoreError(f"{redact(root)} names no folder or bucket: add one")
    return filesystem, path


@functools.lru_cache(maxsize=16)
def _opened(
    uri: str, pid: int, settings: frozenset[tuple[str, str]]
) -> tuple[pyarrow.fs.FileSystem, str]:
    """Opened once in each process and with each setting: a client keeps its connections.

    A checkpoint each few seconds from each member of a pack would otherwise connect anew each time.
    """
    filesystem, path = pyarrow.fs.FileSystem.from_uri(uri)
    return filesystem, path


def _cloud_settings() -> frozenset[tuple[str, str]]:
    """The variables that a client reads when it is opened: keys, regions, endpoints, proxies."""
    return frozenset(
        (name, value)
        for name, value in os.environ.items()
        if name.startswith(("AWS_", "GOOGLE_", "CLOUDSDK_")) or name.lower().endswith("_proxy")
    )


def absolute(root: str) -> str:
    """The root as any process means it: workers run in folders of their own."""
    return root if "://" in root else os.path.abspath(os.path.expanduser(root))


def check_output_folder(option: str, root: str) -> None:
    """Refuse what cannot be a folder, before anything is written.

    Raises:
        StoreError: naming what is in the way.
    """
    filesystem, path = open_filesystem(root)
    if not isinstance(filesystem, pyarrow.fs.LocalFileSystem):
        return  # a bucket says so itself, at the first write
    try:
        there = next(p for p in (Path(path), *Path(path).parents) if os.path.lexists(p))
        if not there.is_dir():
            raise StoreError(f"{option} {root}: {there} is no folder; give another, or remove it")
        too_long = [part for part in Path(path).parts if len(os.fsencode(part)) > 255]
    except (OSError, ValueError) as error:
        raise StoreError(f"{option} {root} cannot be a folder: {error}; give another") from None
    if too_long:
        raise StoreError(f"{option}: the name {too_long[0][:20]}... is too long; give a shorter")
    if not os.access(there, os.W_OK | os.X_OK):
        raise StoreError(f"{option} {root}: {there} cannot be written to; give another")
