"""Checks whether files in the current directory hide the packages that this program imports.

``python -m orchestrator`` puts the current directory first on the import path, so Python would
import a stray ``tasks.py`` there instead of this project's package. This module runs before the
other packages are imported, so it imports none of them.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

PROJECT_PACKAGES = ("tasks", "results", "search_spaces")
DEPENDENCIES = (
    *("numpy", "optuna", "pyarrow", "ray", "rich", "scipy", "torch", "transformers", "typer"),
)
ROOT = Path(__file__).resolve().parents[2]


def shadowing_message() -> str | None:
    """Return an error that names the hidden package, the hiding file and the fix; None if ok."""
    for name in PROJECT_PACKAGES:
        ours, found = ROOT / name, _found(name)
        if found is None:
            return f"the package {name} is missing: expected {ours}; reinstall the program"
        if found != ours:
            return _message(found, f"the package {ours}")
    for name in DEPENDENCIES:
        found = _in_current_directory(name)
        if found is not None:
            return _message(found, f"the installed package {name}")
    return None


def shadowing_in(folder: Path) -> str | None:
    """Return an error if a folder would hide a package when it is first on the import path."""
    for name in (*PROJECT_PACKAGES, *DEPENDENCIES):
        for path in (folder / f"{name}.py", folder / name / "__init__.py"):
            if path.is_file() and folder != ROOT:
                found = path.parent if path.name == "__init__.py" else path
                what = (
                    f"the package {ROOT / name}"
                    if name in PROJECT_PACKAGES
                    else f"the package {name}"
                )
                return f"{found} hides {what}; rename it, or move the function to another folder"
    return None


def _found(name: str) -> Path | None:
    """Return the file or package folder that an import would load."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None
    if spec.origin is None:  # a folder without __init__.py
        return Path(next(iter(spec.submodule_search_locations or [""]))).resolve()
    path = Path(spec.origin).resolve()
    return path.parent if path.name == "__init__.py" else path


def _in_current_directory(name: str) -> Path | None:
    """Return a module in the current directory, if Python searches there first."""
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
        advice = "rename it, or run the `orchestrator` command, which does not search there"
        if os.path.basename(sys.argv[0]) == "orchestrator":
            advice = "rename it, or remove the current directory from PYTHONPATH"
    else:
        why = f"{folder} comes first on Python's path"
        advice = "rename it, or remove that folder from PYTHONPATH"
    return f"{found} hides {hidden}, because {why}; {advice}"


def refuse_shadowing() -> None:
    """Exit with an error if a file hides a package that this program imports."""
    message = shadowing_message()
    if message is not None:
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)
