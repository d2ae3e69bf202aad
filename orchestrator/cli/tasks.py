"""``tasks``: what can be swept."""

from __future__ import annotations

import dataclasses

from rich.console import Console
from rich.table import Table

from orchestrator import discovery
from orchestrator.field_docs import field_docs


def tasks() -> None:
    """List tasks, their parameters and search spaces."""
    from orchestrator.plan import KINDS

    console = Console()
    for name in discovery.task_names():
        task = discovery.load_task(name)
        space = discovery.load_space(name)
        spaces = [kind for kind, offered in KINDS.items() if hasattr(space, offered)]
        summary = (type(task).__doc__ or "").strip().splitlines()[0]
        console.print(f"[bold]{name}[/]  {summary}", highlight=False)
        console.print(
            f"  spaces {', '.join(spaces)}; model {task.default_model}; data {task.default_data}",
            highlight=False,
        )
        table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
        helps = field_docs(task.Params)
        for field in dataclasses.fields(task.Params):
            table.add_row(field.name, str(field.default), helps.get(field.name, ""))
        console.print(table)
