"""Hash the content of files; a cache avoids reading large data again at each start."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tasks.contract import content_id

MAX_CACHES = 500  # folders whose hashes are kept; the cache of a thousand files takes 0.1 MB


def fingerprint_files(
    root: Path, files: Iterable[Path], check: Callable[[Path], object] = lambda file: None
) -> str:
    """Return one hash over the bytes and the relative names of all files.

    A file whose path, size and modification time are in the cache is not read again. ``check`` is
    called on every file that is read, and raises an error if the file is damaged. Files in the
    cache have passed this check before.
    """
    path = _cache_path(root)
    cache = _read_cache(path)
    is_new = False
    hashes: dict[str, str] = {}
    for file in sorted(files):
        status = file.stat()
        key = f"{file.resolve()}"
        version = f"{status.st_size}|{status.st_mtime_ns}|"
        known = cache.get(key, "")
        if not known.startswith(version):
            check(file)
            known = cache[key] = f"{version}{_hash(file)}"
            is_new = True
        hashes[os.path.relpath(file, root)] = known.removeprefix(version)
    if is_new:
        _write_cache(path, cache)
    return content_id(hashes)


def remember_fingerprint(files: Sequence[Path], about: str, compute: Callable[[], str]) -> str:
    """Return ``compute()``, or what it returned before if no file has changed since.

    Args:
        files: what the fingerprint depends on. If there are none, it is always computed.
        about: what else it depends on.
        compute: returns the fingerprint.
    """
    if not files:
        return compute()
    status = {f"{file.resolve()}": file.stat() for file in files}
    version = content_id({name: [s.st_size, s.st_mtime_ns] for name, s in status.items()}) + "|"
    path, key = _cache_path(files[0].parent), f"content-2|{about}"
    cache = _read_cache(path)
    if not cache.get(key, "").startswith(version):
        cache[key] = f"{version}{compute()}"
        _write_cache(path, cache)
    return cache[key].removeprefix(version)


def _cache_path(root: Path) -> Path:
    """Return the file with the hashes of a folder, so that no sweep reads those of another."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = hashlib.blake2b(str(root.resolve()).encode(), digest_size=8).hexdigest()
    return Path(cache) / "orchestrator" / "fingerprints" / f"{name}.json"


def _read_cache(path: Path) -> dict[str, str]:
    """Return path -> ``size|modification time|hash``, empty if there is no valid cache."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _hash(file: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _write_cache(path: Path, cache: dict[str, str]) -> None:
    with contextlib.suppress(OSError):  # without a writable cache, every file is read each time
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(cache))
        os.replace(temporary, path)
        if len(caches := list(path.parent.glob("*.json"))) > MAX_CACHES:
            caches.sort(key=lambda file: file.stat().st_mtime)
            for oldest in caches[:-MAX_CACHES]:
                oldest.unlink(missing_ok=True)
