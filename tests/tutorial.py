"""The code of the pages on tasks: their tasks as installed packages, and an ``export``."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from documented import code_blocks
from paths import ROOT

PAGE = ROOT / "docs" / "tutorials" / "your-task.md"
NETWORK = ROOT / "docs" / "how-to" / "train-a-network.md"


def _block(page: Path, first_line: str) -> str:
    """The code block of the page that begins with this line."""
    found = [code for code in code_blocks(page) if code.startswith(first_line)]
    assert len(found) == 1, f"{page} has {len(found)} blocks that begin with {first_line}"
    return found[0]


def install_first_task(folder: Path) -> None:
    """Write the two files of the page, and the metadata of their package, into a folder."""
    code = _block(PAGE, "from dataclasses import dataclass")
    _install(folder, "descent", code, _block(PAGE, "[build-system]"))


def install_network(folder: Path) -> None:
    """The same for the task that trains a network; its project file is that of the first task."""
    code = _block(NETWORK, "from dataclasses import dataclass")
    project = _block(PAGE, "[build-system]").replace("descent", "spiral")
    _install(folder, "spiral", code, project)


def _install(folder: Path, module: str, code: str, project_file: str) -> None:
    (folder / f"{module}.py").write_text(code)
    project = tomllib.loads(project_file)["project"]
    lines: list[str] = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    info = folder / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(metadata)


def export_method() -> Callable[..., Any]:
    """The ``export`` method of the page."""
    defined: dict[str, Any] = {}
    exec(compile(_block(PAGE, "from safetensors.numpy"), str(PAGE), "exec"), defined)
    method: Callable[..., Any] = defined["export"]
    return method
