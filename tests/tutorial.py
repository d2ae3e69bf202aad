"""The code of docs/tutorials/your-task.md: its task as an installed package, and its ``export``."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from documented import code_blocks

PAGE = Path(__file__).parents[1] / "docs" / "tutorials" / "your-task.md"


def _block(first_line: str) -> str:
    """The code block of the page that begins with this line."""
    found = [code for code in code_blocks(PAGE) if code.startswith(first_line)]
    assert len(found) == 1, f"{PAGE} has {len(found)} blocks that begin with {first_line}"
    return found[0]


def install_first_task(folder: Path) -> None:
    """Write the page's two files, and what installing them adds, into a folder of ``sys.path``."""
    (folder / "descent.py").write_text(_block("from dataclasses import dataclass"))
    project = tomllib.loads(_block("[build-system]"))["project"]
    lines: list[str] = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    info = folder / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(metadata)


def export_method() -> Callable[..., Any]:
    """The ``export`` that the page shows."""
    defined: dict[str, Any] = {}
    exec(compile(_block("from safetensors.numpy"), str(PAGE), "exec"), defined)
    method: Callable[..., Any] = defined["export"]
    return method
