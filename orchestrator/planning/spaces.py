"""Finds the search space of a request: the task's own, or one from a Python file."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import math
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.planning.discovery import defined_spaces, load_space, load_space_file
from orchestrator.planning.space_checks import check_num_trials, check_tables, shown
from search_spaces.space import Claim, Erratum, Published, Row, Scalar, Table
from tasks.contract import RequestError, content_id

KINDS = {"paper": "REPORT", "grid": "GRID", "search": "search"}  # --space -> name in the file
ALIASES = {"report": "paper"}  # earlier names of spaces, and so of sweeps
Search = Callable[[Any], Mapping[str, Scalar]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """The search space of a sweep: tables of rows, or a function that samples configurations."""

    name: str
    tables: tuple[Table, ...] = ()
    search: Search | None = None
    metrics: tuple[str, ...] = ()  # METRICS of its file: what the search optimizes together
    is_report: bool = False
    file: str | None = None  # path, if the user passed a file
    file_hash: str | None = None  # hash of its text
    text: str = ""  # source of a space that was passed as a value
    claims: tuple[Claim, ...] = ()
    published: Published | None = None
    errata: tuple[Erratum, ...] = ()
    announcement: str = ""  # names the space that runs, if --space was not given


def resolve_space(
    task: str, space: str | None, offered_by: types.ModuleType | None = None
) -> Space:
    """Return the space for ``--space paper|grid|search|FILE.py|FILE.py:grid``, or the default.

    ``offered_by`` is the module with the task's own spaces; None to find it by the task's name.

    Raises:
        RequestError: if the space does not exist, is ambiguous, or cannot be loaded.
    """
    if space is None:
        return _default_space(task, offered_by or load_space(task))
    space = ALIASES.get(space, space)
    if space in KINDS:
        module = offered_by or load_space(task)
        wanted = KINDS[space]
        if not hasattr(module, wanted):
            available = [kind for kind, name in KINDS.items() if hasattr(module, name)]
            raise RequestError(
                f"the task {task!r} has no {space} space ({wanted}); available: "
                + (", ".join(available) or f"none, so add one to {module.__file__}")
            )
        return _space(space, wanted, module)
    file, colon, kind = space.rpartition(":")
    kind = ALIASES.get(kind, kind)
    if not colon or kind not in KINDS:
        file, kind = space, ""
    if not file.endswith(".py"):
        near = difflib.get_close_matches(space.rpartition(":")[2], KINDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise RequestError(
            f"--space takes {', '.join(KINDS)}, a FILE.py or FILE.py:grid, but got {space!r}{hint}"
        )
    path = Path(file)
    module = load_space_file(path)
    available = [kind for kind, name in KINDS.items() if hasattr(module, name)]
    if not available:
        raise RequestError(f"{file} must define REPORT, GRID or search, but defines none of them")
    if not kind and len(available) > 1:
        choices = " or ".join(f"--space {file}:{each}" for each in available)
        raise RequestError(f"{file} defines {', '.join(available)}; choose one with {choices}")
    kind = kind or available[0]
    if kind not in available:
        raise RequestError(
            f"{file} does not define {KINDS[kind]}; available: {', '.join(available)}"
        )
    name = path.stem if len(available) == 1 else f"{path.stem}-{kind}"
    found = _space(name, KINDS[kind], module)
    text_hash = content_id(path.read_text(encoding="utf-8", errors="replace"))
    return dataclasses.replace(found, file=str(path.resolve()), file_hash=text_hash)


def _default_space(task: str, module: types.ModuleType) -> Space:
    """Return the task's REPORT, or its only space, together with an announcement."""
    available = {kind: name for kind, name in KINDS.items() if hasattr(module, name)}
    if not available:
        raise RequestError(
            f"{module.__file__} must define REPORT, GRID or search, but defines none of them"
        )
    kind = next(iter(available))
    if len(available) > 1 and "REPORT" not in available.values():
        choices = " or ".join(f"--space {each}" for each in available)
        raise RequestError(
            f"the task {task!r} has no REPORT, the default space; choose another with {choices}"
        )
    found = _space(kind, available[kind], module)
    if "REPORT" in available.values():
        return found
    line = f"{task} has only one space, {available[kind]}: running --space {kind}"
    return dataclasses.replace(found, announcement=line)


def describe_spaces(task: str) -> str:
    """Return the task's spaces as ``--space`` takes them, or why there are none."""
    try:
        available = defined_spaces(task)
    except RequestError as error:
        return f"none ({error})"
    return ", ".join(kind for kind, name in KINDS.items() if name in available) or "none"


def _metrics(module: types.ModuleType) -> tuple[str, ...]:
    """Return the METRICS of a space file."""
    found = getattr(module, "METRICS", ())
    if isinstance(found, (list, tuple)) and all(isinstance(each, str) for each in found):
        return tuple(found)
    raise RequestError(
        f"METRICS of {Path(str(module.__file__)).name} must list metrics, such as "
        f'("accuracy", "seconds:minimize"), but is {shown(found)}'
    )


def _space(name: str, kind: str, module: types.ModuleType) -> Space:
    value = getattr(module, kind)
    _check_has_report(module)
    if kind == "search":
        if not callable(value):
            raise RequestError(
                f"search of the space {name!r} must be a function of an Optuna trial"
            )
        return Space(name=name, search=value, metrics=_metrics(module))
    if kind == "REPORT":
        tables = check_tables(value, name)
        return Space(
            name=name,
            tables=tables,
            is_report=True,
            claims=getattr(module, "CLAIMS", ()),
            published=getattr(module, "PUBLISHED", None),
            errata=getattr(module, "ERRATA", ()),
        )
    rows = tuple(Row(params=params) for params in expand_grid(value, name))
    return Space(name=name, tables=(Table(title=f"Grid {name}", rows=rows),))


def _check_has_report(module: types.ModuleType) -> None:
    """Check that claims, errata and published numbers come with the rows that they are about."""
    if hasattr(module, "REPORT"):
        return
    for name in ("CLAIMS", "ERRATA", "PUBLISHED"):
        if getattr(module, name, None):
            raise RequestError(
                f"{Path(str(module.__file__)).name} defines {name} but no REPORT, whose rows they "
                f"are about; add a REPORT, or remove {name}"
            )


def expand_grid(grid: Mapping[str, Sequence[Scalar]] | Iterable[Any], name: str) -> list[Any]:
    """Return the Cartesian product of a grid's axes, in order; several grids are concatenated."""
    grids = [grid] if isinstance(grid, Mapping) else grid
    if not isinstance(grids, (list, tuple)) or not all(isinstance(g, Mapping) for g in grids):
        raise RequestError(
            f"the grid {name!r} must be a dict of lists, or a tuple of such dicts, but is "
            f"{shown(grid)}"
        )
    if not grids or not all(grids):
        raise RequestError(f"the grid {name!r} is empty; add an axis, such as 'lr': [1e-4, 1e-3]")
    total = 0
    rows: list[dict[str, Scalar]] = []
    for axes in grids:
        for axis, values in axes.items():
            if isinstance(values, str) or not isinstance(values, Sequence) or not values:
                raise RequestError(
                    f"each axis of the grid {name!r} must be a non-empty list, "
                    f"but {axis} is {shown(values)}"
                )
        try:
            total += math.prod(len(values) for values in axes.values())
        except OverflowError:  # an axis is a huge range
            total = sys.maxsize
        check_num_trials(total, 1)
        rows += [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]
    return rows
