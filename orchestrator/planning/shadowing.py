"""Whether files in the user's folder hide the packages that this program needs.

``python -m orchestrator`` puts the current directory first on the import path, so a stray
``tasks.py`` there is imported in place of ours. Nothing here imports our other packages: this runs
before the first of those imports.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

OURS = ("tasks", "results", "search_spaces")
#: What a file in a folder of experiments is likely to be named, among what we import.
THEIRS = ("numpy", "optuna", "pyarrow", "ray", "rich", "scipy", "torch", "transformers", "typer")
ROOT = Path(__file__).resolve().parents[2]


def shadowing_message() -> str | None:
    """What hides what, with both paths and the fix; None if nothing does."""
    for name in OURS:
        ours, found = ROOT / name, _found(name)
        if found is None:
            return f"the package {name} is missing: expected {ours}; install the program again"
        if found != ours:
            return _message(found, f"the package {ours}")
    for name in THEIRS:
        found = _in_current_directory(name)
        if found is not None:
            return _message(found, f"the installed package {name}")
    return None


def shadowing_in(folder: Path) -> str | None:
    """What a folder that is put first on the import path would hide; None if nothing."""
    for name in (*OURS, *THEIRS):
        for path in (folder / f"{name}.py", folder / name / "__init__.py"):
            if path.is_file() and folder != ROOT:
                found = path.parent if path.name == "__init__.py" else path
                what = f"the package {ROOT / name}" if name in OURS else f"the package {name}"
                return f"{found} hides {what}; rename it, or move the function to another folder"
    return None


def _found(name: str) -> Path | None:
    """The file of a module, or the folder of a package, that an import would load."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None
    if spec.origin is None:  # a folder without __init__.py
        return Path(next(iter(spec.submodule_search_locations or [""]))).resolve()
    path = Path(spec.origin).resolve()
    return path.parent if path.name == "__init__.py" else path


def _in_current_directory(name: str) -> Path | None:
    """A module of that name in the current directory, if an import looks there first."""
    here = Path.cwd()
    if not sys.path or Path(sys.path[0] or ".").resolve() != here.resolve() or here == ROOT:
        return None
    for path in (here / f"{name}.py", here / name / "__init__.py"):
        if path.is_file():
            return path.parent if path.name == "__init__.py" else path
    return None


def _message(found: Path, hidden: str) -> str:
    folder = found.parent
    if folder == Path.cwd().resolve():
        why = "the current directory comes first on Python's path"
        advice = "rename it, or run the `orchestrator` command, which does not look there"
        if os.path.basename(sys.argv[0]) == "orchestrator":
            advice = "rename it, or remove the current directory from PYTHONPATH"
    else:
        why = f"{folder} comes first on Python's path"
        advice = "rename it, or remove that folder from PYTHONPATH"
    return f"{found} hides {hidden}, because {why}; {advice}"


def refuse_shadowing() -> None:
    """End the program with one line if something hides what it needs."""
    message = shadowing_message()
    if message is not None:
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)
