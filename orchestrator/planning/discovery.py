"""From a name to its task and its search space, importing only the one asked for.

A task is a folder ``tasks/<name>/`` with a ``task.py`` that offers ``TASK``, and a file
``search_spaces/<name>.py``. A task outside this tree declares two entry points under its name:
``orchestrator.tasks`` (``package.module:TASK``) and ``orchestrator.search_spaces`` (a module).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
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
OFFERS = ("REPORT", "GRID", "search")  # the names that a space file may define


def check_layout() -> None:
    """Refuse to start where other modules hide ours.

    Raises:
        RequestError: naming both.
    """
    message = shadowing_message()
    if message is not None:
        raise RequestError(message)


def _built_in() -> list[str]:
    root = Path(__file__).resolve().parents[2] / "tasks"
    return sorted(path.parent.name for path in root.glob("*/task.py"))


def _entry_point(group: str, name: str) -> importlib.metadata.EntryPoint | None:
    """The entry point of that name.

    Raises:
        RequestError: if two packages declare it, for different objects.
    """
    found = {
        point.value: point for point in importlib.metadata.entry_points(group=group, name=name)
    }
    if len(found) > 1:
        raise RequestError(
            f"two packages declare {name!r} in {group}: {' and '.join(sorted(found))}; "
            "rename one of the entry points, or uninstall one of the packages"
        )
    return next(iter(found.values()), None)


def task_names() -> list[str]:
    """All tasks by name: this tree's and those of the entry-point group."""
    external = {point.name for point in importlib.metadata.entry_points(group=TASKS_GROUP)}
    return sorted({*_built_in(), *external})


def load_task(name: str) -> Task:
    """The task of that name, its declaration checked.

    Raises:
        RequestError: if there is none, or its package cannot be imported or is not a task.
    """
    task = import_task(name)
    check_task(task, name)
    return cast(Task, task)


def import_task(name: str) -> object:
    """What the task's module offers, unchecked.

    Raises:
        RequestError: if there is no such task, or importing it fails.
    """
    if name in _built_in():
        return _load(f"the task {name!r}", f"tasks.{name}.task", "TASK", "this program")
    point = _entry_point(TASKS_GROUP, name)
    if point is None:
        raise RequestError(f"no task named {name!r}; {suggest(name, task_names())}")
    return _load(f"the task {name!r}", point.module, point.attr, _declared(point))


def load_space(name: str) -> ModuleType:
    """The module of a task's search spaces.

    Raises:
        RequestError: if it has none, or importing it fails.
    """
    if name in _built_in():
        found = _load(f"the space of {name!r}", f"search_spaces.{name}", "", "this program")
        return cast(ModuleType, found)
    point = _entry_point(SPACES_GROUP, name)
    if point is None:
        raise RequestError(
            f"the task {name!r} has no search space of its own: give one with --space FILE.py, or "
            f'declare it under [project.entry-points."{SPACES_GROUP}"] in its pyproject.toml'
        )
    return cast(ModuleType, _load(f"the space of {name!r}", point.module, "", _declared(point)))


def offered_spaces(name: str) -> list[str]:
    """What the task's space file offers, of REPORT, GRID and search.

    Raises:
        RequestError: if it has none, or importing it fails.
    """
    return [offered for offered in OFFERS if hasattr(load_space(name), offered)]


def _declared(point: importlib.metadata.EntryPoint) -> str:
    of = f" of {point.dist.name}" if point.dist else ""
    return f"the entry point {point.name} = {point.value!r}{of}"


def _load(what: str, module: str, attribute: str, declared: str) -> object:
    """The object ``module:attribute``; every failure as one line that names file and line."""
    try:
        found: object = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise RequestError(
                f"{what} cannot be imported: {declared} names the module {module}, and there is no "
                f"{error.name}; fix its name in pyproject.toml, then install the package again"
            ) from error
        raise RequestError(
            f"{what} {describe_failure(error)}; install it, or fix the import"
        ) from error
    except (Exception, SystemExit) as error:
        raise RequestError(f"{what} {describe_failure(error)}; fix the file") from error
    for part in attribute.split(".") if attribute else ():
        if not hasattr(found, part):
            file = getattr(sys.modules[module], "__file__", module)
            raise RequestError(
                f"{what} is missing: {declared} names {part}, which {file} does not define; "
                f"end the file with `{part} = YourTask()`, or fix the entry point"
            )
        found = getattr(found, part)
    return found


def describe_failure(error: BaseException) -> str:
    """What an import raised, and where: the last line outside of Python's import machinery."""
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
    """The module of a space file, run.

    Raises:
        RequestError: if there is no such file, or running it fails.
    """
    if not path.is_file():
        raise RequestError(
            f"no such space file: {path}; give the path of a Python file that defines "
            f"{', '.join(OFFERS[:-1])} or {OFFERS[-1]} (see docs/how-to/search-spaces.md)"
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
