"""Makes trials from the rows of a space, the seeds and the ``--set`` values.

Imports neither torch, Ray nor Optuna, so that a dry run is fast.
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import math
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.planning import task_calls
from orchestrator.planning.discovery import defined_spaces, load_space, load_space_file, task_names
from orchestrator.planning.space_checks import check_num_trials, check_storable, check_tables, shown
from orchestrator.planning.suggestions import suggest_parameter
from search_spaces.space import Claim, Erratum, Published, Row, Scalar, Table
from tasks.contract import RequestError, Source, Stage, Task, Trial, content_id

KINDS = {"paper": "REPORT", "grid": "GRID", "search": "search"}  # --space -> name in the file
ALIASES = {"report": "paper"}  # earlier names of spaces, and so of sweeps
Search = Callable[[Any], Mapping[str, Scalar]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """What a sweep tries: tables of rows, or a search function that samples configurations."""

    name: str
    tables: tuple[Table, ...] = ()
    search: Search | None = None
    is_report: bool = False
    file: str | None = None  # path, if the user passed a file
    file_hash: str | None = None  # hash of its text
    text: str = ""  # source of a space that was passed as a value
    claims: tuple[Claim, ...] = ()
    published: Published | None = None
    errata: tuple[Erratum, ...] = ()
    announcement: str = ""  # tells the user which space runs, if --space was not given


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


def _space(name: str, kind: str, module: types.ModuleType) -> Space:
    value = getattr(module, kind)
    if kind == "search":
        if not callable(value):
            raise RequestError(
                f"search of the space {name!r} must be a function of an Optuna trial"
            )
        return Space(name=name, search=value)
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


# --- parameters -----------------------------------------------------------------------------------


def param_types(params: type[Any]) -> dict[str, tuple[type, bool]]:
    """Return each field's plain type, and whether None is allowed."""
    hints = typing.get_type_hints(params)
    return {f.name: _plain_type(hints[f.name]) for f in dataclasses.fields(params)}


def _plain_type(hint: Any) -> tuple[type, bool]:
    if typing.get_origin(hint) is typing.Literal:
        return type(typing.get_args(hint)[0]), False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [_plain_type(arg) for arg in typing.get_args(hint) if arg is not type(None)]
        plain = {kind for kind, _ in kinds}
        return (float if plain == {int, float} else kinds[0][0]), type(None) in typing.get_args(
            hint
        )
    return hint, False


def unknown_parameter(task: Task, name: object) -> RequestError:
    """Return an error about a parameter that the task does not have."""
    known = sorted(param_types(task.Params))
    hint = suggest_parameter(task.name if task.name in task_names() else None, str(name), known)
    return RequestError(f"{task.name} has no parameter {shown(name)}; {hint}")


def make_params(task: Task, values: Mapping[str, Scalar]) -> Any:
    """Return the task's validated ``Params``.

    Raises:
        RequestError: if a name or a value is wrong.
    """
    kinds = param_types(task.Params)
    for name in values:
        if name not in kinds:
            raise unknown_parameter(task, name)
    ready: dict[str, Scalar] = {}
    for name, value in values.items():
        kind, optional = kinds[name]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            # 1 and 1.0 are the same configuration and must have the same id.
            value = float(value) if abs(value) < 2**1000 else math.inf
        if not (isinstance(value, kind) or (optional and value is None)) or (
            kind is not bool and isinstance(value, bool)
        ):
            raise RequestError(f"{name} must be {kind.__name__}, but got {shown(value)}")
        check_storable(name, value)
        ready[name] = value
    try:
        return task.Params(**ready)
    except (ValueError, TypeError) as error:
        raise RequestError(f"{task.name}: {error}") from error


# --- trials ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TrialFactory:
    """Makes the trials of one sweep, which share task, model, data and ``--set`` values."""

    task: Task
    model: Source
    data: Source
    fixed: Mapping[str, Scalar]

    def trial(self, values: Mapping[str, Scalar], seed: int) -> Trial:
        """Return the normalized trial with these values; ``--set`` takes precedence."""
        trial = Trial(
            task=self.task.name,
            version=self.task.version,
            params=make_params(self.task, {**values, **self.fixed}),
            seed=seed,
            model=self.model,
            data=self.data,
        )
        return task_calls.normalize(self.task, trial)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRow:
    """A row of a table, with one trial per seed."""

    row: Row
    trials: tuple[Trial, ...]
    changed: tuple[str, ...] = ()  # parameters of the row that ``--set`` replaces


def plan_rows(space: Space, factory: TrialFactory, seeds: Sequence[int]) -> list[list[PlannedRow]]:
    """Return the rows of each table with their trials. Equal rows have equal trials."""
    return [
        [
            PlannedRow(
                row=row,
                trials=tuple(factory.trial(row.params, seed) for seed in seeds),
                changed=_changed_params(factory, row),
            )
            for row in table.rows
        ]
        for table in space.tables
    ]


def _changed_params(factory: TrialFactory, row: Row) -> tuple[str, ...]:
    """Return the row's parameters that ``--set`` replaces, if that changes its trials.

    A published number belongs to the values that its row names. Parameters that the row does not
    name, such as the size of the model, do not make it another row.
    """
    as_published = make_params(factory.task, row.params)
    changed = tuple(
        name
        for name in row.params
        if name in factory.fixed and getattr(as_published, name) != factory.fixed[name]
    )
    if not changed:
        return ()
    try:
        without = dataclasses.replace(
            factory, fixed={k: v for k, v in factory.fixed.items() if k not in changed}
        )
        is_same = without.trial(row.params, 0).id == factory.trial(row.params, 0).id
    except RequestError:  # the row cannot run as published on this model and data
        return changed
    return () if is_same else changed


def distinct_trials(planned: Iterable[Iterable[PlannedRow]]) -> list[Trial]:
    """Return every trial once: all rows with the first seed, then all with the second, and so on.

    This order gives the user a complete table early.
    """
    rows = [row for table in planned for row in table]
    by_seed = itertools.zip_longest(*(row.trials for row in rows))
    return list({t.id: t for seed in by_seed for t in seed if t is not None}.values())


def distinct_stages(task: Task, trials: Iterable[Trial]) -> list[Stage]:
    """Return every stage that the trials need, once, in topological order."""
    ordered: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.key not in ordered:
            for need in stage.needs:
                visit(need)
            ordered[stage.key] = stage

    for trial in trials:
        for stage in task.stages(trial):
            visit(stage)
    return list(ordered.values())
