"""Computes the identity of the source of a task that another package declares."""

from __future__ import annotations

from orchestrator.functions.own_modules import PROJECT, import_root, own_modules
from orchestrator.functions.source import module_file
from orchestrator.functions.syntax import plain_tree
from orchestrator.functions.task import FunctionTask
from tasks.contract import RequestError, Task, content_id


def package_identity(task: Task) -> str | None:
    """Return a hash of the task's module and of the modules of its package that it imports.

    Comments and docstrings do not count.

    Returns:
        The hash. None for built-in tasks, whose version and commit are recorded; for functions,
        whose trial ids include their source; and for source that cannot be read.
    """
    if isinstance(task, FunctionTask) or type(task).__module__.split(".")[0] in PROJECT:
        return None
    file = module_file(type(task))
    if file is None:
        return None
    root = import_root(file)
    try:
        files = own_modules(file, root)
    except RequestError:
        return None
    names = {file: type(task).__qualname__.split(".")[0]}
    return content_id(
        {
            path.relative_to(root).as_posix(): plain_tree(text, names.get(path))
            for path, text in files.items()
        }
    )
