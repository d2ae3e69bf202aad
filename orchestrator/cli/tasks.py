"""``tasks``: list tasks, or describe one."""

from __future__ import annotations

import json
import textwrap
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from orchestrator.cli.completion import complete_task
from orchestrator.cli.json_output import Json, Outcome
from orchestrator.planning import discovery
from results.text import print_line
from tasks.contract import RequestError


def tasks(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[TASK]", help="Task to describe in full.", autocompletion=complete_task
        ),
    ] = None,
    schema: Annotated[
        bool,
        typer.Option("--schema", help="Print the JSON schema of the task's space files (YAML)."),
    ] = False,
    json_: Json = False,
) -> int | Outcome:
    """List tasks, or describe one.

    The description has the parameters with allowed values, the spaces, the model and the data.
    """
    if schema:
        found = _schema(name)
        if json_:
            return Outcome(fields={"schema": found})
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    if json_:
        names = discovery.task_names() if name is None else [name]
        return Outcome(fields={"tasks": [_fields(each, is_listed=name is None) for each in names]})
    from orchestrator.planning.spaces import describe_spaces
    from orchestrator.planning.task_help import TaskView, summary_of

    console = Console()
    if name is not None:
        task = discovery.load_task(name)
        console.print(TaskView(task, discovery.load_space(name)))
        return 0
    for each in discovery.task_names():
        try:
            task, spaces = discovery.load_task(each), describe_spaces(each)
        except RequestError as error:  # still list the other tasks
            console.print(Text.assemble((each, "bold"), ("  error: ", "red"), str(error)))
            continue
        console.print(Text.assemble((each, "bold"), f"  {summary_of(task)}"))
        facts = f"spaces: {spaces}; model: {task.default_model}; data: {task.default_data}"
        for line in textwrap.wrap(facts, max(40, console.width - 4)):
            console.print(Text(f"    {line}", style="dim"), soft_wrap=True)
    console.print()
    hint = "To describe one task with its parameters: `python -m orchestrator tasks TASK`"
    print_line(console, hint)
    return 0


def _fields(name: str, *, is_listed: bool) -> dict[str, Any]:
    """Describe a task; with ``is_listed`` one that is wrong has only its name and the error."""
    from orchestrator.planning.task_help import describe_spaces, parameters, summary_of

    try:
        task, spaces = discovery.load_task(name), discovery.load_space(name)
    except RequestError as error:
        if not is_listed:
            raise
        return {"name": name, "error": str(error)}
    metrics = [c.key.removeprefix("metric.") for c in task.columns if c.key.startswith("metric.")]
    return {
        "name": name,
        "summary": summary_of(task),
        "version": task.version,
        "metric": {"name": task.metric.name, "direction": task.metric.direction},
        "metrics": metrics,
        "spaces": [
            {"name": space, "description": text} for space, text in describe_spaces(name, spaces)
        ],
        "default_model": task.default_model,
        "default_data": task.default_data,
        "parameters": parameters(task.Params),
    }


def _schema(name: str | None) -> dict[str, Any]:
    from orchestrator.planning.space_schema import space_schema

    if name is None:
        raise RequestError("--schema is of one task; name it")
    return space_schema(discovery.load_task(name))
