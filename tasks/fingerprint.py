"""The content of files as a short hash, remembered so that large data is not read at each start."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from tasks.contract import content_id


def _memory_path() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "orchestrator" / "fingerprints.json"


def _remembered() -> dict[str, str]:
    try:
        found = json.loads(_memory_path().read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def fingerprint_files(
    root: Path, files: Iterable[Path], check: Callable[[Path], object] = lambda file: None
) -> str:
    """One hash over the bytes and the relative names of all files.

    A file whose path, size and time of change are remembered is not read again; without a
    writable cache every file is read. A file that is read goes through ``check`` first, which
    raises where it is damaged: what is remembered was once found good.
    """
    memory = _remembered()
    new: dict[str, str] = {}
    hashes: dict[str, str] = {}
    for file in sorted(files):
        status = file.stat()
        key = f"{file.resolve()}|{status.st_size}|{status.st_mtime_ns}"
        known = memory.get(key) or new.get(key)
        if known is None:
            check(file)
            known = new[key] = _hash(file)
        hashes[os.path.relpath(file, root)] = known
    if new:
        _remember(memory | new)
    return content_id(hashes)


def _hash(file: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _remember(memory: dict[str, str]) -> None:
    path = _memory_path()
    with contextlib.suppress(OSError):  # a cache that cannot be written only costs time
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}.tmp")
        beside.write_text(json.dumps(memory))
        os.replace(beside, path)
