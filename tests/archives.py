"""Archives that are written, read and forged by tests."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import run_command

from results.archive.files import MANIFEST

Files = dict[str, bytes]


def run(*words: object) -> tuple[int, str, str]:
    """Exit status, output and errors of a command in this process."""
    done = run_command(*words)
    return done.returncode, done.stdout, done.stderr


def write(path: Path, files: Files) -> None:
    """Files as a zip, sealed as ours are; a manifest among them stays as it is."""
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
    """What a forger does: change files, and seal them again."""
    files = read(path)
    del files[MANIFEST]
    change(files)
    write(path, files)


def json_change(**values: Any) -> Callable[[Path], object]:
    """Another ``sweep.json``, sealed."""

    def change(files: Files) -> None:
        name = "toy/stored/sweep.json"
        files[name] = json.dumps(json.loads(files[name]) | values).encode()

    return lambda path: reseal(path, change)
