"""Search spaces that are passed as Python values: lists, ranges and search functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from orchestrator.planning.axes import Axes, AxesSearch
from orchestrator.planning.axes_spec import Kinds, read_axes, to_spec
from orchestrator.planning.space_checks import shown
from orchestrator.planning.spaces import Search, Space
from search_spaces.space import Row, Scalar, Table
from tasks.contract import RequestError, content_id

#: A grid such as ``{"lr": [1e-5, 1e-3]}``; a search over ranges, such as
#: ``{"lr": {"min": 1e-5, "max": 1e-2, "log": True}}``; several such dicts, whose rows are
#: concatenated; or a function of an Optuna trial that returns the parameters of one configuration.
InlineSpace = (
    Mapping[str, Any] | Sequence[Mapping[str, Any]] | Callable[[Any], Mapping[str, Scalar]]
)


def inline_space(value: object, kinds: Kinds, zipped: Sequence[Sequence[str]] = ()) -> Space:
    """Return the space for a dict of lists and ranges, several dicts, or a search function.

    Args:
        value: the dict, the dicts or the function.
        kinds: the types of the task's parameters, by name.
        zipped: parameters whose lists vary together.

    Raises:
        RequestError: if the value is none of these, or a list is empty.
    """
    if callable(value):
        return Space(name="search", search=cast(Search, value), file_hash=_text_hash(value))
    if isinstance(value, Mapping):
        return space_of(read_axes(value, kinds, zipped), kinds)
    if not isinstance(value, (list, tuple)) or not all(isinstance(v, Mapping) for v in value):
        raise RequestError(
            "space must be a name, a FILE.py, a dict of lists, or a function of an Optuna trial, "
            f"but is {shown(value)}"
        )
    return _concatenate([read_axes(each, kinds) for each in value])


def space_of(axes: Axes, kinds: Kinds, *, as_search: bool = False) -> Space:
    """Return a grid, or a search if an axis is a range or ``as_search`` is set."""
    if not axes.is_search and not as_search:
        return _concatenate([axes])
    if axes.zipped:
        raise RequestError(
            f"--zip {','.join(axes.zipped[0])} is for grids, but a range such as "
            f"{next((str(a) for a in axes.values.values() if not isinstance(a, tuple)), '')} "
            "makes a search, which samples each parameter separately; remove --zip"
        )
    integers = frozenset(name for name, (kind, _) in kinds.items() if kind is int)
    spec = to_spec(axes)
    return Space(
        name=axes.name if axes.is_search else axes.name.replace("grid-", "search-", 1),
        search=AxesSearch(axes=axes, integers=integers),
        file_hash=content_id(spec),
        text=f"parameters = {spec!r}\n",
    )


def _concatenate(grids: Sequence[Axes]) -> Space:
    if any(axes.is_search for axes in grids):
        raise RequestError("several grids cannot contain a range; use one dict for a search")
    if not grids:
        raise RequestError("the space is empty; add a parameter with a list of values")
    rows = [row for axes in grids for row in axes.rows()]
    names = dict.fromkeys(
        part for axes in grids for part in axes.name.removeprefix("grid-").split("-")
    )
    name = grids[0].name if len(grids) == 1 else f"grid-{'-'.join(names)}"[:45].rstrip("-._")
    specs = [to_spec(axes) for axes in grids]
    plain = [{name: each["values"] for name, each in spec.items()} for spec in specs]
    is_product = not any(axes.zipped or axes.conditions for axes in grids)
    return Space(
        name=name,
        tables=(Table(title=f"Grid {name}", rows=tuple(Row(params=row) for row in rows)),),
        file_hash=content_id(rows),
        text=f"GRID = {_one_or_all(plain if is_product else _as_grids(rows))!r}\n",
    )


def _as_grids(rows: Sequence[Mapping[str, Scalar]]) -> list[dict[str, list[Scalar]]]:
    """Return each row as a grid with one configuration, for rows that are not a product."""
    return [{name: [value] for name, value in row.items()} for row in rows]


def _one_or_all(grids: list[dict[str, list[Scalar]]]) -> Any:
    return grids[0] if len(grids) == 1 else grids


def _text_hash(search: object) -> str | None:
    """Return a hash of the function's source; None if it cannot be read."""
    try:
        return content_id(inspect.getsource(cast(Any, search)))
    except (OSError, TypeError):
        return None
