"""Archives that tests write, read and forge."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from results.archive.files import MANIFEST

Files = dict[str, bytes]


def write(path: Path, files: Files) -> None:
    """Write files as a zip with a valid manifest, unless there is a manifest among them."""
    if MANIFEST not in files:
        listed = {
            name: {"bytes": len(blob), "sha256": hashlib.sha256(blob).hexdigest()}
            for name, blob in files.items()
        }
        facts = {"format": 1, "task": "toy", "name": "stored", "files": listed}
        files = {**files, MANIFEST: json.dumps(facts).encode()}
    with zipfile.ZipFile(path, "w") as zipped:
        for name, blob in files.items():
            zipped.writestr(zipfile.ZipInfo(name), blob)


def read(path: Path) -> Files:
    with zipfile.ZipFile(path) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def reseal(path: Path, change: Callable[[Files], object]) -> None:
    """Change files and write a manifest that fits them, as a forger would."""
    files = read(path)
    del files[MANIFEST]
    change(files)
    write(path, files)


def json_change(**values: Any) -> Callable[[Path], object]:
    """A change of keys in ``sweep.json``, with a manifest that fits."""

    def change(files: Files) -> None:
        name = "toy/stored/sweep.json"
        files[name] = json.dumps(json.loads(files[name]) | values).encode()

    return lambda path: reseal(path, change)
