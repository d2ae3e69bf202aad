"""Archives that are written, read and forged by tests."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.cli import main
from results.archive.files import MANIFEST

Files = dict[str, bytes]


def run(*words: object) -> tuple[int, str, str]:
    """Exit status, output and errors of a command in this process."""
    out, err, argv, status = io.StringIO(), io.StringIO(), sys.argv, 0
    sys.argv = ["orchestrator", *map(str, words)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        sys.argv = argv
    return status, out.getvalue(), err.getvalue()


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
