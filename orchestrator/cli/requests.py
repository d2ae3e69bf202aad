"""Makes the requests of ``sweep`` from its options, one per task."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from orchestrator.cli.parsing import check_tasks
from tasks.contract import RequestError

if TYPE_CHECKING:
    from orchestrator.request import Request

_SEARCH_OPTIONS = ("trials", "sampler", "pruner")

#: Parameters of the command whose fields in ``Request`` have another name.
_FIELDS = {
    "set_": ("settings",),
    "zip_": ("zipped",),
    "budget": ("budget", "budget_trials"),
    "deadline": ("step_timeout",),
}


def given(context: typer.Context) -> set[str]:
    """Return the fields of a request that the command line or the environment sets."""
    found: set[str] = set()
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT"):
            found |= set(_FIELDS.get(name, (name,)))
    return found


def make_requests(
    tasks: Sequence[str], stored: str | None, values: Mapping[str, Any], given: Collection[str]
) -> list[Request]:
    """Return a request for each task, or the stored request with the options that are ``given``.

    Raises:
        RequestError: if neither a task nor a stored request is named, or both are.
    """
    from orchestrator.planning.discovery import task_names
    from orchestrator.planning.space_file import is_space_file
    from orchestrator.request import Request
    from orchestrator.running.stored_request import program_of, read_request

    search_options = {n: values[n] for n in _SEARCH_OPTIONS if values[n] is not None}
    if stored is not None:
        if tasks:
            raise RequestError(f"--from {stored} names its task; remove {' '.join(tasks)}")
        found = read_request(stored)
        changes = {name: value for name, value in values.items() if name in given}
        if "metric" in changes and "maximize" not in changes:
            changes["maximize"] = None  # the stored direction is that of the stored metric
        return [dataclasses.replace(found, **changes, given={**found.given, **search_options})]
    if not tasks and is_space_file(values["space"]):
        tasks = [program_of(values["space"])]
    if not tasks:
        raise RequestError(f"name a task to sweep; available: {', '.join(task_names())}")
    check_tasks(tasks)
    others = {name: value for name, value in values.items() if name not in _SEARCH_OPTIONS}
    return [
        Request(task=each, **others, **search_options, given=search_options)
        for each in dict.fromkeys(tasks)
    ]
