"""Finds tasks and their search spaces by name, and imports only the one that is asked for.

A built-in task is a file ``tasks/<name>/task.py`` that defines ``TASK``, and a file
``search_spaces/<name>.py``. Another package declares a task with two entry points:
``orchestrator.tasks`` (``package.module:TASK``) and ``orchestrator.search_spaces`` (a module).
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import cast

from orchestrator.planning.shadowing import shadowing_message
from orchestrator.planning.suggestions import suggest as suggest
from orchestrator.planning.task_checks import check_task
from tasks.contract import RequestError, Task

TASKS_GROUP = "orchestrator.tasks"
SPACES_GROUP = "orchestrator.search_spaces"
SPACE_NAMES = ("REPORT", "GRID", "search")  # the names that a space file may define


def check_shadowing() -> None:
    """Check that no other module hides this project's packages.

    Raises:
        RequestError: if one does. The message names both.
    """
    message = shadowing_message()
    if message is not None:
        raise RequestError(message)


def _built_in() -> list[str]:
    root = Path(__file__).resolve().parents[2] / "tasks"
    return sorted(path.parent.name for path in root.glob("*/task.py"))


def entry_points(group: str) -> tuple[importlib.metadata.EntryPoint, ...]:
    """Return the entry points of a group that are installed now."""
    folders = []
    for folder in sys.path:
        try:
            folders.append((folder, os.stat(folder or ".").st_mtime_ns))
        except OSError:  # such as the zip file of the standard library
            continue
    return _read_entry_points(group, tuple(folders))


@functools.lru_cache(maxsize=8)  # reading the metadata of all packages takes 12 ms
def _read_entry_points(
    group: str, folders: tuple[tuple[str, int], ...]
) -> tuple[importlib.metadata.EntryPoint, ...]:
    return tuple(importlib.metadata.entry_points(group=group))


def entry_point(group: str, name: str) -> importlib.metadata.EntryPoint | None:
    """Return the entry point with a name, or None.

    Raises:
        RequestError: if two packages declare different objects under the name.
    """
    found = {point.value: point for point in entry_points(group) if point.name == name}
    if len(found) > 1:
        raise RequestError(
            f"two packages declare {name!r} in {group}: {' and '.join(sorted(found))}; "
            "rename one of the entry points, or uninstall one of the packages"
        )
    return next(iter(found.values()), None)


def task_names() -> list[str]:
    """Return the names of all tasks, built-in ones and those of other packages."""
    external = {point.name for point in entry_points(TASKS_GROUP)}
    return sorted({*_built_in(), *external})


def load_task(name: str) -> Task:
    """Import a task and check its declaration.

    Raises:
        RequestError: if no task has the name, it cannot be imported, or its declaration is wrong.
    """
    task = import_task(name)
    check_task(task, name)
    return cast(Task, task)


def import_task(name: str) -> object:
    """Import the object that is declared as a task, without checking it.

    Raises:
        RequestError: if no task has the name, or it cannot be imported.
    """
    if name in _built_in():
        return _load(f"the task {name!r}", f"tasks.{name}.task", "TASK", "this program")
    point = entry_point(TASKS_GROUP, name)
    if point is None:
        raise RequestError(f"no task named {name!r}; {suggest(name, task_names())}")
    return _load(f"the task {name!r}", point.module, point.attr, _describe(point))


def load_space(name: str) -> ModuleType:
    """Import the module of a task's search spaces.

    Raises:
        RequestError: if the task has none, or it cannot be imported.
    """
    if name in _built_in():
        found = _load(f"the space of {name!r}", f"search_spaces.{name}", "", "this program")
        return cast(ModuleType, found)
    point = entry_point(SPACES_GROUP, name)
    if point is None:
        raise RequestError(
            f"the task {name!r} has no search space; pass one with --space FILE.py, or declare it "
            f'under [project.entry-points."{SPACES_GROUP}"] in its pyproject.toml'
        )
    return cast(ModuleType, _load(f"the space of {name!r}", point.module, "", _describe(point)))


def defined_spaces(name: str) -> list[str]:
    """Return which of REPORT, GRID and search the task's space file defines.

    Raises:
        RequestError: if the task has no space file, or it cannot be imported.
    """
    return [space for space in SPACE_NAMES if hasattr(load_space(name), space)]


def _describe(point: importlib.metadata.EntryPoint) -> str:
    package = f" of {point.dist.name}" if point.dist else ""
    return f"the entry point {point.name} = {point.value!r}{package}"


def _load(what: str, module: str, attribute: str, declared_by: str) -> object:
    """Import ``module:attribute``.

    Raises:
        RequestError: one line with the file and line at which it failed.
    """
    try:
        found: object = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise RequestError(
                f"{what} cannot be imported: {declared_by} names the module {module}, but "
                f"{error.name} does not exist; fix its name in pyproject.toml, then install the "
                "package again"
            ) from error
        problem = describe_failure(error)
        raise RequestError(f"{what} {problem}; install it, or fix the import") from error
    except (Exception, SystemExit) as error:
        raise RequestError(f"{what} {describe_failure(error)}; fix the file") from error
    for part in attribute.split(".") if attribute else ():
        if not hasattr(found, part):
            file = getattr(sys.modules[module], "__file__", module)
            raise RequestError(
                f"{what} is missing: {declared_by} names {part}, which {file} does not define; "
                f"end the file with `{part} = YourTask()`, or fix the entry point"
            )
        found = getattr(found, part)
    return found


def describe_failure(error: BaseException) -> str:
    """Describe a failed import, with the last file and line outside of Python's import code."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"cannot be imported: {error.filename}, line {error.lineno}: {error.msg}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen") and "importlib" not in frame.filename
    ]
    own = [frame for frame in frames if frame.filename != __file__]
    place = f"{own[-1].filename}, line {own[-1].lineno}: " if own else ""
    return f"cannot be imported: {place}{type(error).__name__}: {error}"


def load_space_file(path: Path) -> ModuleType:
    """Run a space file and return its module.

    Raises:
        RequestError: if the file does not exist, or running it fails.
    """
    if not path.is_file():
        raise RequestError(
            f"no such space file: {path}; pass the path of a Python file that defines "
            f"{', '.join(SPACE_NAMES[:-1])} or {SPACE_NAMES[-1]} (see docs/how-to/search-spaces.md)"
        )
    name = f"_space_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        where = f"{path}, line {error.lineno}" if error.lineno else str(path)
        raise RequestError(f"{where}: {error.msg}; fix the file") from error
    except SystemExit as error:
        raise RequestError(f"{path} ends the program ({error!r}); remove that call") from error
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f", line {frame.lineno}" for frame in frames if frame.filename == str(path)]
        where = f"{path}{lines[-1] if lines else ''}"
        raise RequestError(f"{where}: {type(error).__name__}: {error}; fix the file") from error
    return module
