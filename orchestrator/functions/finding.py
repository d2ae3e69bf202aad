"""Finds the task of a request, and the search space of a task."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.functions.declaration import declaration_of
from orchestrator.functions.own_modules import import_root
from orchestrator.functions.source import module_file
from orchestrator.functions.task import FunctionTask, check_function, function_task
from orchestrator.planning.axes import Axes
from orchestrator.planning.discovery import SPACE_NAMES, describe_failure, load_task
from orchestrator.planning.inline_space import inline_space, space_of
from orchestrator.planning.objectives import choose_metric, split_metric
from orchestrator.planning.params import param_types
from orchestrator.planning.settings import NO_SETTINGS, Settings
from orchestrator.planning.shadowing import shadowing_in
from orchestrator.planning.space_file import SpaceFile
from orchestrator.planning.spaces import Space, resolve_space
from orchestrator.planning.suggestions import suggest
from search_spaces.space import Row, Table
from tasks.contract import RequestError, Task, content_id

_REFERENCE = re.compile(r"(?P<file>.+\.py):(?P<name>\w+)")


def is_reference(text: str) -> bool:
    """Return whether the text has the form FILE.py:FUNCTION."""
    return _REFERENCE.fullmatch(text) is not None


def find_task(
    task: str | Task | Callable[..., Any],
    metric: str | Sequence[str] | None = None,
    maximize: bool | None = None,
) -> Task:
    """Return the task for a name, for FILE.py:FUNCTION, or for a function.

    Args:
        task: one of these, or a task itself.
        metric: the metric of a function, which overrides the one that it declares, or one of
            ``Task.other_metrics``. Of several, possibly with their directions, the first one.
        maximize: the direction of the first one.

    Raises:
        RequestError: if it does not exist or cannot be a task.
    """
    if isinstance(task, str) and is_reference(task):
        task = load_function(task)
    metrics = (metric,) if isinstance(metric, str) else tuple(metric or ())
    if not isinstance(task, (str, Task)):
        check_function(task)
        names = [split_metric(each) for each in metrics]
        first, direction = names[0] if names else (None, None)
        if direction is not None:
            if maximize is not None and maximize != (direction == "maximize"):
                option = "--maximize" if maximize else "--minimize"
                raise RequestError(
                    f"--metric {metrics[0]} and {option} contradict each other; remove {option}"
                )
            maximize = direction == "maximize"
        others = tuple(name for name, _ in names[1:])
        return function_task(task, declaration_of(task, first, maximize, others))
    found = task if isinstance(task, Task) else load_task(task)
    is_other = len(metrics) == 1 and bool(found.other_metrics)
    if maximize is not None or (len(metrics) == 1 and not is_other):
        raise RequestError(
            "--metric, --maximize and --minimize are for functions; the task "
            f"{found.name!r} has its own metric: remove them, or name several metrics that a "
            "search optimizes together"
        )
    return choose_metric(found, metrics[0]) if is_other else found


# --- a function of a file -------------------------------------------------------------------------


def load_function(reference: str) -> Callable[..., Any]:
    """Import the file of FILE.py:FUNCTION, and return the function.

    Raises:
        RequestError: if the file or the function does not exist, or the import fails.
    """
    match = _REFERENCE.fullmatch(reference)
    assert match is not None
    file, name = Path(match["file"]), match["name"]
    if not file.is_file():
        raise RequestError(f"no such file: {file}; name a function as FILE.py:FUNCTION")
    module = _import(file.resolve())
    found: object = getattr(module, name, None)
    if not inspect.isfunction(found):
        defined = [
            each
            for each, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__
        ]
        raise RequestError(f"{file} defines no function {name!r}; {suggest(name, defined)}")
    return found


def _import(file: Path) -> types.ModuleType:
    """Import a file as a module of its folder, or of the package that it is in."""
    root = import_root(file)
    parts = file.relative_to(root).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    hidden = shadowing_in(root)
    if hidden is not None:
        raise RequestError(hidden)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    known = sys.modules.get(name)
    if known is None:
        try:
            known = importlib.import_module(name)
        except (Exception, SystemExit) as error:
            raise RequestError(f"{file.name} {describe_failure(error)}; fix the file") from error
    found = getattr(known, "__file__", None)
    if found is None or Path(found).resolve() != file:
        raise RequestError(
            f"{file} cannot be imported, because {found or 'a module'} has the same name "
            f"{name!r}; rename the file"
        )
    return known


# --- spaces ---------------------------------------------------------------------------------------


def find_space(
    task: Task,
    space: object,
    settings: Settings = NO_SETTINGS,
    zipped: Sequence[Sequence[str]] = (),
) -> Space:
    """Return the search space of a request.

    The file of a function may define spaces. If it defines none, the space is one configuration:
    the defaults of the function.

    Args:
        task: the task whose parameters vary.
        space: a name, a file, a value, or None.
        settings: the values of ``--set``. If they contain lists or ranges, these are the space.
        zipped: parameters whose lists vary together.

    Raises:
        RequestError: if the space does not exist or is invalid, or if two spaces are given.
    """
    kinds = param_types(task.Params)
    if settings.axes:
        if space is not None:
            name = next(iter(settings.axes))
            raise RequestError(
                f"--set {name} has several values, which is a space by itself; remove it or --space"
            )
        return space_of(Axes(values=settings.axes, zipped=tuple(map(tuple, zipped))), kinds)
    if isinstance(space, SpaceFile):
        return space.space(kinds)
    if space is not None and not isinstance(space, str):
        return inline_space(space, kinds, zipped)
    if zipped:
        raise RequestError(
            f"--zip {','.join(zipped[0])}: {zipped[0][0]} has no list of values; add "
            f"--set {zipped[0][0]}=VALUE,VALUE"
        )
    if not isinstance(task, FunctionTask):
        return resolve_space(task.name, space)
    module = task.module()
    if space is None and not any(hasattr(module, offered) for offered in SPACE_NAMES):
        table = Table(title=f"Defaults of {task.name}", rows=(Row(params={}),))
        return Space(name="defaults", tables=(table,))
    found = resolve_space(task.name, space, module)
    file = module_file(task.function)
    if found.file is not None or file is None:
        return found
    text = content_id(file.read_text(encoding="utf-8", errors="replace"))
    return dataclasses.replace(found, file=str(file), file_hash=text)
