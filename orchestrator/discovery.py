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
from pathlib import Path
from types import ModuleType
from typing import cast

from orchestrator.suggestions import suggest as suggest
from tasks.contract import RequestError, Task

TASKS_GROUP = "orchestrator.tasks"
SPACES_GROUP = "orchestrator.search_spaces"


def check_layout() -> None:
    """Refuse a stray ``tasks`` on the path that shadows ours."""
    import tasks

    ours = Path(__file__).resolve().parents[1]
    found = Path(tasks.__file__ or ".").resolve().parents[1]
    if ours != found:
        raise RequestError(
            f"two trees are mixed: orchestrator lies in {ours}, but tasks comes from {found}; "
            "start from another folder or rename what shadows it"
        )


def _built_in() -> list[str]:
    root = Path(__file__).resolve().parents[1] / "tasks"
    return sorted(path.parent.name for path in root.glob("*/task.py"))


def _entry_point(group: str, name: str) -> importlib.metadata.EntryPoint | None:
    found = importlib.metadata.entry_points(group=group, name=name)
    return next(iter(found), None)


def task_names() -> list[str]:
    """All tasks by name: this tree's and those of the entry-point group."""
    external = {point.name for point in importlib.metadata.entry_points(group=TASKS_GROUP)}
    return sorted({*_built_in(), *external})


def load_task(name: str) -> Task:
    """The task of that name.

    Raises:
        RequestError: if there is none.
    """
    if name in _built_in():
        return cast(Task, importlib.import_module(f"tasks.{name}.task").TASK)
    point = _entry_point(TASKS_GROUP, name)
    if point is not None:
        return cast(Task, point.load())
    raise RequestError(f"no task named {name!r}; {suggest(name, task_names())}")


def load_space(name: str) -> ModuleType:
    """The module of a task's search spaces."""
    if name in _built_in():
        return importlib.import_module(f"search_spaces.{name}")
    point = _entry_point(SPACES_GROUP, name)
    if point is None:
        raise RequestError(
            f"the task {name!r} has no search space: declare the entry point {SPACES_GROUP}"
        )
    return cast(ModuleType, point.load())


def load_space_file(path: Path) -> ModuleType:
    """A user's own space file, run as a module."""
    if not path.is_file():
        raise RequestError(
            f"no such file: {path}; --space takes paper, grid, search, FILE.py or FILE.py:grid"
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
        raise RequestError(f"{where}: {error.msg}; mend the file") from error
    except SystemExit as error:
        raise RequestError(f"{path} ends the program ({error!r}); leave that out") from error
    except Exception as error:
        raise RequestError(
            f"{path} cannot be run: {type(error).__name__}: {error}; mend the file"
        ) from error
    return module
