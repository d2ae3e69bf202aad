"""From the options of ``sweep`` to its requests, one per task."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from orchestrator.cli.parsing import check_tasks
from tasks.contract import RequestError

if TYPE_CHECKING:
    from orchestrator.request import Request

_OF_SEARCH = ("trials", "sampler", "pruner")

#: Options whose parameter in Python is not the name of their field.
_FIELDS = {
    "set_": ("settings",),
    "zip_": ("zipped",),
    "budget": ("budget", "budget_trials"),
    "step_timeout": ("deadline",),
}


def given(context: typer.Context) -> set[str]:
    """The fields of a request that options on the command line say something about."""
    found: set[str] = set()
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT"):
            found |= set(_FIELDS.get(name, (name,)))
    return found


def make_requests(
    tasks: Sequence[str], stored: str | None, values: Mapping[str, Any], given: Collection[str]
) -> list[Request]:
    """The requests of the tasks, or the stored one with the options that are ``given``.

    Raises:
        RequestError: if no task is named, or one is and the stored request has another.
    """
    from orchestrator.planning.discovery import task_names
    from orchestrator.planning.space_file import is_space_file
    from orchestrator.request import Request
    from orchestrator.running.stored_request import program_of, read_request

    of_search = {name: values[name] for name in _OF_SEARCH if values[name] is not None}
    if stored is not None:
        if tasks:
            raise RequestError(f"--from {stored} names its task; remove {' '.join(tasks)}")
        found = read_request(stored)
        changes = {name: value for name, value in values.items() if name in given}
        return [dataclasses.replace(found, **changes, given={**found.given, **of_search})]
    if not tasks and is_space_file(values["space"]):
        tasks = [program_of(values["space"])]
    if not tasks:
        raise RequestError(f"name a task to sweep; available: {', '.join(task_names())}")
    check_tasks(tasks)
    plain = {name: value for name, value in values.items() if name not in _OF_SEARCH}
    return [
        Request(task=each, **plain, **of_search, given=of_search) for each in dict.fromkeys(tasks)
    ]
