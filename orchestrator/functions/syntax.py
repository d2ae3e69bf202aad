"""Parses a module, and removes the parts that do not affect results."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

_SPACES = {"REPORT", "GRID", "CLAIMS", "PUBLISHED", "ERRATA", "METRICS"}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def plain_tree(text: str, name: str | None = None) -> object:
    """Return the syntax tree of a module as plain lists, which all versions of Python agree on.

    It omits comments, formatting, docstrings, the decorator ``orc.task``, and the block under
    ``if __name__ == "__main__"``.

    Args:
        text: the text of the module.
        name: the function or class of the module that is a task. Its module may define search
            spaces, which are omitted as well unless the task uses them. In other modules, the same
            names may have another meaning, so nothing is omitted there.

    Raises:
        SyntaxError: if the text is not valid Python.
    """
    tree = ast.parse(text)
    tree.body = [node for node in tree.body if not _is_for_main(node)]
    if name is not None:
        used = _used_names(tree.body, name)
        tree.body = [node for node in tree.body if not _is_space(node) or _defined(node) & used]
    return _plain(tree)


def _used_names(body: Sequence[ast.stmt], name: str) -> set[str]:
    """Return the names that a definition of a module uses, directly or through other definitions.

    They include the names in statements that are not definitions, such as loops.
    """
    used = {name}
    waiting = [node for node in body if name in _defined(node) or not _defined(node)]
    while waiting:
        node = waiting.pop()
        new = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} - used
        used |= new
        waiting += [each for each in body if _defined(each) & new]
    return used


def _defined(node: ast.stmt) -> set[str]:
    """Return the names that a function, class or assignment defines."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    targets: Sequence[ast.expr] = ()
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
        targets = [node.target]
    return {
        each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)
    }


def _plain(node: Any) -> object:
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, ast.AST):
        is_plain = node is None or isinstance(node, (str, int, bool))
        return node if is_plain else [type(node).__name__, repr(node)]
    parts: list[object] = [type(node).__name__]
    for name, value in ast.iter_fields(node):
        if name == "body" and _has_docstring(node):
            value = value[1:]
        if name == "decorator_list":
            value = [each for each in value if not _declares_task(each)]
        if value not in (None, []) and name not in ("kind", "type_comment"):
            parts += [name, _plain(value)]
    return parts


def _has_docstring(node: ast.AST) -> bool:
    return isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None


def _declares_task(decorator: ast.expr) -> bool:
    """Return whether it is ``@orc.task(metric=...)``, which does not affect trials."""
    if not isinstance(decorator, ast.Call):
        return False
    name = getattr(decorator.func, "attr", getattr(decorator.func, "id", ""))
    return name == "task" and "metric" in {word.arg for word in decorator.keywords}


def _is_space(node: ast.stmt) -> bool:
    """Return whether it defines a search space, which chooses trials but does not affect them."""
    if isinstance(node, ast.FunctionDef):
        return node.name == "search"
    names = _defined(node) if isinstance(node, (ast.Assign, ast.AnnAssign)) else set()
    return bool(names) and names <= _SPACES


def _is_for_main(node: ast.stmt) -> bool:
    tests = ("__name__ == '__main__'", "'__main__' == __name__")
    return isinstance(node, ast.If) and ast.unparse(node.test) in tests
