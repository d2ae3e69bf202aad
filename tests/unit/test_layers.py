"""Which package may import which, from every import statement in the tree."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from paths import ROOT

TOP = ("orchestrator", "results", "search_spaces", "tasks")
HEAVY = {"torch", "transformers", "ray", "optuna"}
FORBIDDEN = {
    "tasks": {"ray", "optuna", "orchestrator", "results", "search_spaces"},
    "results": {"torch", "transformers", "ray", "optuna", "orchestrator", "search_spaces"},
    "search_spaces": HEAVY | {"orchestrator", "results", "numpy", "pyarrow"},
    "orchestrator": {"transformers", "benchmarks", "tests"},
}
# Modules of ``tasks`` that other top-level packages may import.
ALLOWED = {
    "results": {"tasks.contract"},
    "search_spaces": {"tasks.contract"},
    "orchestrator": {
        "tasks",
        "tasks.contract",
        "tasks.interrupt",
        "tasks.memory",
        "tasks.process_group",
        "tasks.progress",
    },
}
# From bottom to top: a package imports only from those before it.
# docs/explanation/design.md has the diagram.
LAYERS = {
    "orchestrator": (
        *(
            "cgroups",
            "child_process",
            "hardware",
            "planning",
            "functions",
            "saving",
            "search",
            "environment",
        ),
        "control",
        *("execution", "tracking", "engines.ray", "engines", "view", "request", "running"),
        "pruning",
        *("reports", "serving", "sharing", "api", "contract_suite", "doctor", "cli", "__main__"),
    ),
    "results": (
        *(
            "text",
            "json_values",
            "extras",
            "redaction",
            "statistics",
            "storage",
            "tables",
            "claims",
            "figures",
            "render",
        ),
        *("archive", "compare", "query", "export", "page"),
    ),
}


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


BLOCKS = (ast.stmt, ast.ExceptHandler, ast.match_case)  # what statements contain lists of


FILES = {module_of(file): file for top in TOP for file in (ROOT / top).rglob("*.py")}


@functools.cache
def imports(file: Path) -> tuple[str, ...]:
    """Every module that a file imports, except for type checking."""
    return tuple(_imports(file))


def _imports(file: Path) -> Iterator[str]:
    for node in _statements(ast.parse(file.read_text()).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from names & FILES.keys()
            if names - FILES.keys():
                yield node.module or ""


def _statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All statements of a body, except those for type checking."""
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        for _, inner in ast.iter_fields(node):
            if isinstance(inner, list) and inner and isinstance(inner[0], BLOCKS):
                yield from _statements(inner)


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_top_level_packages_import_only_what_is_allowed(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        for module in imports(file):
            top = module.split(".")[0]
            assert top not in FORBIDDEN[package], f"{file.relative_to(ROOT)} imports {module}"
            if top == "tasks" and package in ALLOWED:
                assert module in ALLOWED[package], f"{file.relative_to(ROOT)} imports {module}"


@pytest.mark.parametrize("top", sorted(LAYERS))
def test_packages_import_in_one_direction(top: str) -> None:
    layers = LAYERS[top]

    def layer(module: str) -> int | None:
        rest = module.removeprefix(f"{top}.")
        found = [n for n, name in enumerate(layers) if rest == name or rest.startswith(f"{name}.")]
        return found[0] if found else None

    for module, file in FILES.items():
        if not module.startswith(f"{top}."):
            continue
        own = layer(module)
        assert own is not None, f"{module} belongs to no layer: add its package to LAYERS"
        for imported in imports(file):
            other = layer(imported) if imported.startswith(f"{top}.") else None
            assert other is None or other <= own, f"{module} imports {imported}, a higher layer"


def test_no_import_cycles() -> None:
    graph = {
        module: {name for name in imports(file) if name in FILES and name != module}
        for module, file in FILES.items()
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " imports ".join((*path[path.index(module) :], module))
        if module not in done:
            for imported in sorted(graph[module]):
                visit(imported, (*path, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_shared_code_imports_no_single_task() -> None:
    names = [path.parent.name for path in (ROOT / "tasks").glob("*/task.py")]
    for file in [*(ROOT / "orchestrator").rglob("*.py"), *(ROOT / "results").rglob("*.py")]:
        for module in imports(file):
            assert not any(f"tasks.{name}" in module for name in names), f"{file} imports {module}"
