"""A search space that was given as a value: a grid, or a function that Optuna asks."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from orchestrator.planning.plan import Search, Space, expand_grid
from orchestrator.planning.space_checks import shown
from search_spaces.space import Row, Scalar, Table
from tasks.contract import RequestError, content_id

#: ``{"lr": [1e-5, 1e-3]}``, the product of its lists; several such dicts, whose rows are united; or
#: a function of an Optuna trial that returns the parameters of one configuration.
InlineSpace = (
    Mapping[str, Sequence[Scalar]]
    | Sequence[Mapping[str, Sequence[Scalar]]]
    | Callable[[Any], Mapping[str, Scalar]]
)

_MAX_NAME = 40  # characters of a grid's name that are made of its parameters


def inline_space(value: object) -> Space:
    """The space of a dict of lists, of several, or of a search function.

    Raises:
        RequestError: if it is none of these, or a list is empty.
    """
    if callable(value):
        return Space(name="search", search=cast(Search, value), file_hash=_text_hash(value))
    if not isinstance(value, (Mapping, list, tuple)):
        raise RequestError(
            "space must be a name, a FILE.py, a dict of lists, or a function of an Optuna trial, "
            f"but is {shown(value)}"
        )
    plain = _to_lists(value)
    rows, name = expand_grid(plain, "space"), _name(plain)
    return Space(
        name=name,
        tables=(Table(title=f"Grid {name}", rows=tuple(Row(params=row) for row in rows)),),
        file_hash=content_id(rows),
        text=f"GRID = {plain!r}\n",
    )


def _to_lists(value: Any) -> Any:
    """The value with plain lists in place of arrays, and Python numbers of numpy ones."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _to_lists(each) for key, each in value.items()}
    return [_to_lists(each) for each in value] if isinstance(value, (list, tuple)) else value


def _name(grid: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
    """``grid-lr-temperature``: the parameters that vary, or all if none does."""
    grids = [grid] if isinstance(grid, Mapping) else grid
    names = list(dict.fromkeys(name for each in grids for name in each))
    varying = [n for n in names if len({repr(v) for g in grids for v in g.get(n, [None])}) > 1]
    text = "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", str(name)) for name in varying or names)
    return f"grid-{text}" if len(text) <= _MAX_NAME else f"grid-{text[:_MAX_NAME].rstrip('-._')}"


def _text_hash(search: object) -> str | None:
    """Of the function's source; None if it cannot be read."""
    try:
        return content_id(inspect.getsource(cast(Any, search)))
    except (OSError, TypeError):
        return None
