"""Hash the content of files; a cache avoids reading large data again at each start."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from tasks.contract import content_id


def _cache_path() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "orchestrator" / "fingerprints.json"


def _read_cache() -> dict[str, str]:
    try:
        found = json.loads(_cache_path().read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def fingerprint_files(
    root: Path, files: Iterable[Path], check: Callable[[Path], object] = lambda file: None
) -> str:
    """Return one hash over the bytes and the relative names of all files.

    A file whose path, size and modification time are in the cache is not read again. ``check`` is
    called on every file that is read, and raises an error if the file is damaged. Files in the
    cache have passed this check before.
    """
    cache = _read_cache()
    new: dict[str, str] = {}
    hashes: dict[str, str] = {}
    for file in sorted(files):
        status = file.stat()
        key = f"{file.resolve()}|{status.st_size}|{status.st_mtime_ns}"
        known = cache.get(key) or new.get(key)
        if known is None:
            check(file)
            known = new[key] = _hash(file)
        hashes[os.path.relpath(file, root)] = known
    if new:
        _write_cache(cache | new)
    return content_id(hashes)


def _hash(file: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _write_cache(cache: dict[str, str]) -> None:
    path = _cache_path()
    with contextlib.suppress(OSError):  # without a writable cache, every file is read each time
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(cache))
        os.replace(temporary, path)
