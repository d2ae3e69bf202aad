"""How a case is run, and the files that it must not change."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from bad_input import Case

TAKE_OUT = ("sweep", "report", "show", "check", "list", "ls")


def arguments(case: Case, tmp: Path) -> list[str]:
    args = shlex.split(case.args.replace("TMP", str(tmp)))
    takes_out = args and args[0] in TAKE_OUT and "--out" not in args
    return [*args, *(("--out", str(tmp / "runs")) if takes_out and args[-1] != "--seeds" else ())]


def tree(folder: Path) -> dict[str, bytes | str | None]:
    """Every file with its bytes and every link with its target, without Python's caches."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        if "__pycache__" not in path.parts:
            content = os.readlink(path) if path.is_symlink() else None
            found[str(path)] = path.read_bytes() if path.is_file() else content
    return found
