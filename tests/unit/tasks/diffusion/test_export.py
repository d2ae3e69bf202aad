"""The program of an exported model."""

from __future__ import annotations

import ast

from tasks.diffusion import export


def test_modules_of_the_program_define_distinct_names() -> None:
    """In one file, a second definition would replace the first."""
    names = []
    for node in ast.parse(export.program()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.append(node.target.id)
    assert sorted(names) == sorted(set(names))
    assert {"UNet", "DiT", "Flow", "Schedule", "load"} <= set(names)
