"""Which room may import what, read off every import statement in the tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "transformers", "ray", "optuna"}
FORBIDDEN = {
    "tasks": {"ray", "optuna", "orchestrator", "results", "search_spaces"},
    "results": {"torch", "transformers", "ray", "optuna", "orchestrator", "search_spaces"},
    "search_spaces": HEAVY | {"tasks", "orchestrator", "results", "numpy", "pyarrow"},
    "orchestrator": {"transformers", "benchmarks", "tests"},
}
# Of our own packages, what a room may take from another.
ALLOWED = {
    "results": {"tasks.contract"},
    "orchestrator": {
        "tasks",
        "tasks.contract",
        "tasks.interrupt",
        "tasks.memory",
        "tasks.progress",
    },
}


def imports(file: Path) -> Iterator[str]:
    """Every module a file imports, those for type checking alone left out."""
    tree = ast.parse(file.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield node.module or ""


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_a_room_keeps_to_itself(room: str) -> None:
    for file in (ROOT / room).rglob("*.py"):
        for module in imports(file):
            top = module.split(".")[0]
            assert top not in FORBIDDEN[room], f"{file.relative_to(ROOT)} imports {module}"
            if top == "tasks" and room in ALLOWED:
                assert module in ALLOWED[room], f"{file.relative_to(ROOT)} imports {module}"


def test_no_task_is_named_outside_its_folder_and_its_space() -> None:
    names = [path.parent.name for path in (ROOT / "tasks").glob("*/task.py")]
    for file in [*(ROOT / "orchestrator").glob("*.py"), *(ROOT / "results").glob("*.py")]:
        for module in imports(file):
            assert not any(f".{name}" in module for name in names), f"{file} imports {module}"
