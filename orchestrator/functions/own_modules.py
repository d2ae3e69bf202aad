"""Finds the modules of the user's folder that a file imports, without running the file."""

from __future__ import annotations

import ast
import site
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from orchestrator.planning.shadowing import PROJECT_PACKAGES
from tasks.contract import RequestError

PROJECT = (*PROJECT_PACKAGES, "orchestrator")  # each sweep records its version instead


def import_root(file: Path) -> Path:
    """Return the folder from which the module of a file is imported.

    If the file is in a package, this is the folder that contains the package.
    """
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def is_installed(root: Path) -> bool:
    """Return whether the folder contains installed packages, which other processes have too."""
    folders = [*site.getsitepackages(), site.getusersitepackages(), *sysconfig.get_paths().values()]
    return any(root == Path(folder).resolve() for folder in folders)


def own_modules(file: Path, root: Path) -> dict[Path, str]:
    """Return the text of a module and of the modules that it imports, directly or indirectly.

    Only modules below ``root`` are included; for a module in a package, only those of the package.

    Returns:
        Text by path.

    Raises:
        RequestError: if a file cannot be read or has a syntax error.
    """
    package = file.relative_to(root).parts[0] if file.parent != root else None
    if package is None and is_installed(root):
        return {file: _read(file)}
    found: dict[Path, str] = {}
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = _read(path)
        for name in _imported_names(_parse(path, found[path]), path, root):
            top = name.split(".")[0]
            if top not in PROJECT and package in (None, top):
                waiting += _files_of(name, root)
    return dict(sorted(found.items()))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"cannot read {path}: {error}") from None


def _parse(path: Path, text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise RequestError(f"{path}, line {error.lineno}: {error.msg}; fix the file") from None


def _imported_names(tree: ast.Module, path: Path, root: Path) -> Iterator[str]:
    """Yield the dotted names that a module imports. Some may be functions, not modules."""
    parents = path.relative_to(root).parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parents[: len(parents) - node.level + 1] if node.level else ()
            base = [*above, *(node.module.split(".") if node.module else [])]
            yield from (".".join([*base, alias.name]) for alias in node.names)


def _files_of(name: str, root: Path) -> list[Path]:
    """Return the files below the root that run when a dotted name is imported."""
    parts, found = name.split("."), []
    for number in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:number])
        options = (place / "__init__.py", place.parent / f"{place.name}.py")
        found += [path for path in options if path.is_file()][:1]
    return found
