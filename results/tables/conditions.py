"""Conditions on rows: ``lr < 1e-3 and metric.r1 > 0.5``.

    condition   comparison, also with and, or, not and parentheses
    comparison  name or value, then < <= > >= == = !=, in or not in, then name or value, or a list
    name        param.lr or metric.r1; lr or r1 if only one column has that name; `r@1` in backticks
                if it is not a word of letters, digits and underscores
    value       1e-3, "text", true, false, none, or a list ("a", "b")

The grammar is that of Python, whose parser reads it; nothing is evaluated. A missing value fulfills
no comparison except ``== none``, and ``!=`` with another value.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tasks.contract import RequestError

Values = Mapping[str, Any]
_Term = Callable[[Values], Any]

_PREFIXES = ("param.", "metric.")
_CONSTANTS = {"true": True, "false": False, "none": None, "null": None}
_ORDER: Mapping[type[ast.cmpop], tuple[str, Callable[[Any, Any], bool]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
}
_MAX_DEPTH = 100  # levels; each one is a nested call, and Python limits those
_TOKEN = re.compile(r"""(?P<text>"[^"]*"|'[^']*')|`(?P<name>[^`]*)`|(?<![<>=!])=(?!=)""")
_EXAMPLE = "write for example 'lr < 1e-3 and status == \"finished\"'"


def parse_condition(text: str, names: Collection[str]) -> Callable[[Values], bool]:
    """Return a function that says whether a row fulfills a condition.

    Args:
        text: the condition.
        names: the columns of the rows.

    Raises:
        RequestError: if the text is no condition, or names no column. The function raises it for
            an order between text and a number.
    """
    quoted: dict[str, str] = {}
    python = _TOKEN.sub(lambda match: _to_python(match, quoted), text)
    try:
        tree = ast.parse(python.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise RequestError(f"--where {text!r} is no condition; {_EXAMPLE}") from None
    if _depth(tree) > _MAX_DEPTH:
        raise RequestError(
            f"--where {text[:40]!r}... is nested more than {_MAX_DEPTH} levels deep; simplify it"
        )
    if not isinstance(tree, (ast.BoolOp, ast.UnaryOp, ast.Compare)):
        raise RequestError(f"--where {text!r} compares nothing; {_EXAMPLE}")
    return _Parser(text, names, quoted).condition(tree)


def _to_python(match: re.Match[str], quoted: dict[str, str]) -> str:
    """Return a token as Python has it; names in backticks are added to ``quoted``."""
    if match["name"] is None:
        return match["text"] or "=="
    word = f"quoted_name_{len(quoted)}"
    quoted[word] = match["name"]
    return word


def _depth(tree: ast.expr) -> int:
    """Return the number of levels of a tree, without recursion."""
    depth, level = 0, list[ast.AST]([tree])
    while level:
        depth += 1
        level = [each for node in level for each in ast.iter_child_nodes(node)]
    return depth


def find_column(name: str, names: Collection[str], option: str) -> str:
    """Return the column of a name: ``lr`` gives ``param.lr``.

    Raises:
        RequestError: if there is none, or there are several.
    """
    if name in names:
        return name
    found = [f"{prefix}{name}" for prefix in _PREFIXES if f"{prefix}{name}" in names]
    if len(found) == 1:
        return found[0]
    if found:
        raise RequestError(f"{option}: {name} may be {' or '.join(found)}; write one of them")
    quote = " (write text in quotes)" if option == "--where" else ""
    raise RequestError(f"{option}: there is no column {name}{quote}; available: {_listed(names)}")


def _listed(names: Collection[str]) -> str:
    most = 40
    return f"{', '.join(list(names)[:most])}{', ...' * (len(names) > most)}"


class _Parser:
    """Turns the nodes of a condition into functions of a row."""

    def __init__(self, text: str, names: Collection[str], quoted: Mapping[str, str]) -> None:
        self._text, self._names = text, names
        self._quoted = quoted  # the words that stand for names in backticks

    def condition(self, node: ast.expr) -> Callable[[Values], bool]:
        if isinstance(node, ast.BoolOp):
            parts = [self.condition(each) for each in node.values]
            check = all if isinstance(node.op, ast.And) else any
            return lambda row: check(part(row) for part in parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.condition(node.operand)
            return lambda row: not inner(row)
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        term = self._term(node)  # a column of truth values alone
        return lambda row: term(row) is True

    def _comparison(self, node: ast.Compare) -> Callable[[Values], bool]:
        terms = [self._term(each) for each in (node.left, *node.comparators)]
        checks = [self._operator(each) for each in node.ops]

        def holds(row: Values) -> bool:
            values = [term(row) for term in terms]
            pairs = zip(checks, values, values[1:], strict=False)
            return all(check(left, right) for check, left, right in pairs)

        return holds

    def _operator(self, node: ast.cmpop) -> Callable[[Any, Any], bool]:
        if type(node) in _ORDER:
            sign, compare = _ORDER[type(node)]
            return lambda left, right: self._in_order(sign, compare, left, right)
        if isinstance(node, (ast.Eq, ast.NotEq)):
            return operator.eq if isinstance(node, ast.Eq) else operator.ne
        if isinstance(node, (ast.Is, ast.IsNot)):
            raise self._wrong("is; write ==")
        wanted = isinstance(node, ast.In)  # in, or not in
        return lambda left, right: _contains(right, left) is wanted

    def _in_order(
        self, sign: str, compare: Callable[[Any, Any], bool], left: Any, right: Any
    ) -> bool:
        if left is None or right is None:
            return False
        try:
            return bool(compare(left, right))
        except TypeError:
            raise RequestError(
                f"--where {self._text!r}: {left!r} {sign} {right!r} compares text with a number"
            ) from None

    def _term(self, node: ast.expr) -> _Term:
        if isinstance(node, (ast.Name, ast.Attribute)):
            name = ast.unparse(node)
            if name.lower() in _CONSTANTS and name not in self._names:
                return lambda row: _CONSTANTS[name.lower()]
            if not re.fullmatch(r"\w+(\.\w+)*", name):
                raise self._wrong(name)
            name = ".".join(self._quoted.get(part, part) for part in name.split("."))
            column = find_column(name, self._names, "--where")
            return lambda row: _known(row.get(column))
        if isinstance(node, (ast.List, ast.Tuple)):
            parts = [self._term(each) for each in node.elts]
            return lambda row: [part(row) for part in parts]
        try:
            value = ast.literal_eval(node)
        except (ValueError, TypeError):
            raise self._wrong(ast.unparse(node)) from None
        if value is not None and not isinstance(value, (str, int, float)):
            raise self._wrong(ast.unparse(node))
        return lambda row: value

    def _wrong(self, what: str) -> RequestError:
        for word, name in self._quoted.items():
            what = what.replace(word, f"`{name}`")
        return RequestError(
            f"--where {self._text!r} may not contain {what}; {_EXAMPLE}, and a name such as r@1 in "
            "backticks"
        )


def _contains(whole: Any, part: Any) -> bool:
    """Whether a value is in a list, or text in a longer text."""
    if isinstance(whole, str):
        return isinstance(part, str) and part in whole
    return isinstance(whole, list) and part in whole


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
