"""``tasks``: list tasks, or describe one."""

from __future__ import annotations

import json
import textwrap
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from orchestrator.cli.completion import complete_task
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
) -> int:
    """List tasks, or describe one.

    The description has the parameters with allowed values, the spaces, the model and the data.
    """
    if schema:
        return _print_schema(name)
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


def _print_schema(name: str | None) -> int:
    from orchestrator.planning.space_schema import space_schema

    if name is None:
        raise RequestError("--schema is of one task; name it")
    print(json.dumps(space_schema(discovery.load_task(name)), indent=2, ensure_ascii=False))
    return 0
