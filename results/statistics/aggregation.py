"""Compute a metric from its samples: their mean, or a formula over their sums.

A task declares the formula as text, ``sweep.json`` stores it, and ``report`` evaluates it without
the task. In a formula, ``sums`` are the columns summed over units. ``mean``, ``sum``, ``min`` and
``max`` of one argument apply to its columns. The formulas of corpus BLEU and of the mean IoU of 3
classes:

    100 * exp(mean(log(sums[0:4] / sums[4:8])) + min(0, 1 - sums[9] / sums[8]))
    mean(sums[0:3] / sums[3:6])

``sums[0::2]`` and ``sums[1::2]`` are the first and the second of every two columns, for pairs whose
number depends on the data.

A result that is not finite counts as 0: for example, BLEU is 0 without matches of every order.
``sweep.json`` may come from an untrusted source, so the text is parsed and never run. A formula may
contain only numbers, ``sums``, its slices, + - * / ** and the functions below.
"""

from __future__ import annotations

import ast
import functools
import operator
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tasks.contract import StoreError

Array = np.ndarray[Any, Any]

MEAN = "mean"
#: Formulas by name, for sweeps of versions that had no formulas.
_NAMED = {
    "bleu4": "100 * exp(mean(log(sums[0:4] / sums[4:8])) + min(0, 1 - sums[9] / sums[8]))",
}
_MAX_LENGTH = 500  # characters of a formula
_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.true_divide,
    ast.Pow: np.power,
    ast.USub: operator.neg,
}


# By name and number of arguments, so that formulas cannot use other arguments, such as ``out``.
_FUNCTIONS: dict[tuple[str, int], Callable[..., Any]] = {
    ("exp", 1): np.exp,
    ("log", 1): np.log,
    ("sqrt", 1): np.sqrt,
    ("mean", 1): lambda values: np.mean(values, axis=-1, keepdims=True),
    ("sum", 1): lambda values: np.sum(values, axis=-1, keepdims=True),
    ("min", 1): lambda values: np.min(values, axis=-1, keepdims=True),
    ("max", 1): lambda values: np.max(values, axis=-1, keepdims=True),
    ("min", 2): np.minimum,
    ("max", 2): np.maximum,
}


@functools.cache
def aggregation(formula: str) -> Callable[[Array], Array]:
    """Return the function from sums [..., K] to metrics [...] that a formula describes.

    Examples:
        >>> mean_iou = aggregation("mean(sums[0:2] / sums[2:4])")
        >>> float(mean_iou(np.array([1.0, 3.0, 2.0, 4.0])))
        0.625

    Raises:
        StoreError: if the formula is invalid. The function raises it if K is too small.
    """
    text = _NAMED.get(formula, formula)
    try:
        if len(text) > _MAX_LENGTH:
            raise ValueError(f"it is longer than {_MAX_LENGTH} characters")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # "1or 2" raises an error below
            tree = ast.parse(text, mode="eval").body
        _evaluate(tree, np.ones(_columns(tree)))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else error
        raise _bad(formula, why) from None

    def function(sums: Array) -> Array:
        if sums.shape[-1] < _columns(tree):
            raise _bad(formula, f"it needs {_columns(tree)} columns, but got {sums.shape[-1]}")
        try:
            found = np.broadcast_to(_evaluate(tree, sums), (*sums.shape[:-1], 1))[..., 0]
        except ValueError:  # slices with a step can have unlike numbers of columns
            raise _bad(formula, f"it does not fit {sums.shape[-1]} columns") from None
        return np.where(np.isfinite(found), found, 0.0)

    return function


def _bad(formula: str, why: object) -> StoreError:
    shown = formula if len(formula) <= 80 else f"{formula[:77]}..."
    functions = ", ".join(dict.fromkeys(name for name, _ in _FUNCTIONS))
    return StoreError(
        f"the aggregate {shown!r} is not valid ({why}); write {MEAN!r}, or arithmetic over "
        f"sums[i], sums[i:j] and sums[i::step] with {functions}"
    )


def _columns(tree: ast.AST) -> int:
    """Return the minimum number of columns that a formula needs."""
    found = [1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            index = node.slice
            if isinstance(index, ast.Slice):
                first = _index(index.lower or ast.Constant(0))
                if index.step is not None:
                    if index.upper is not None or _index(index.step) < 1:
                        raise ValueError(f"{ast.unparse(node)} is not a slice such as sums[0::2]")
                    found.append(first + 1)
                    continue
                found.append(_index(index.upper))
                if first >= found[-1]:
                    raise ValueError(f"{ast.unparse(node)} has no columns")
            else:
                found.append(_index(index) + 1)
    return max(found)


def _index(node: ast.AST | None) -> int:
    """Return the number of a column."""
    if isinstance(node, ast.Constant) and type(node.value) is int and 0 <= node.value <= 10_000:
        return node.value
    raise ValueError("columns are numbered from 0 to 10000, as in sums[0:4]")


def _evaluate(node: ast.AST, sums: Array) -> Any:
    """Evaluate an expression to columns [..., k]."""
    with np.errstate(all="ignore"):
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return np.float64(number)
            case ast.Subscript(value=ast.Name(id="sums"), slice=ast.Slice(lower, upper, step)):
                first = _index(lower or ast.Constant(0))
                if step is not None:
                    return sums[..., first :: _index(step)]
                return sums[..., first : _index(upper)]
            case ast.Subscript(value=ast.Name(id="sums"), slice=index):
                return sums[..., _index(index) : _index(index) + 1]
            case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _OPERATORS:
                values = _evaluate(left, sums), _evaluate(right, sums)
                return _OPERATORS[type(operation)](*values)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -_evaluate(operand, sums)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if (
                name,
                len(args),
            ) in _FUNCTIONS:
                return _FUNCTIONS[name, len(args)](*(_evaluate(each, sums) for each in args))
    raise ValueError(f"{ast.unparse(node)} is not allowed")
