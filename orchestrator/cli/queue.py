"""``queue``: list, run and change the queue of sweeps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.json_output import Json, Outcome
from tasks.contract import RequestError

if TYPE_CHECKING:
    from orchestrator.running.queue import Entry, SweepQueue


def queue(
    remove: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Remove a waiting or ended sweep: its id or name."),
    ] = None,
    run: Annotated[
        bool,
        typer.Option("--run", help="Run the waiting sweeps in this process until none is left."),
    ] = False,
    json_: Json = False,
) -> int | Outcome:
    """List the sweeps that you have added with `sweep --queue`. They run one after the other."""
    from rich.console import Console

    from orchestrator.running.queue import SweepQueue, queue_folder
    from results.text import print_line

    if remove is not None and run:
        raise RequestError("--remove and --run contradict; give one of the two")
    found, console = SweepQueue(queue_folder()), Console()
    if remove is not None:
        entry = found.remove(remove)
        if not json_:
            print_line(console, f"Removed {entry.names}.")
            return 0
    if run and not found.run(lambda line: print_line(console, line)):
        raise RequestError("another process runs the queue; list it with `queue`")
    if json_:
        return Outcome(fields={"queue": [entry_fields(found, each) for each in found.entries()]})
    if not run:
        _print(found)
    return 0


def entry_fields(queue: SweepQueue, entry: Entry) -> dict[str, Any]:
    """Return the fields of a sweep of the queue in the documents of ``--json``."""
    return {
        "id": entry.id,
        "sweeps": list(entry.sweeps),
        "state": entry.state,
        "command": ["python", "-m", "orchestrator", *entry.words],
        "added": entry.added,
        "exit_code": entry.exit_code,
        "log": str(queue.log(entry)),
    }


def _state(entry: Entry) -> str:
    if entry.exit_code is None:
        return entry.state
    return "stopped" if entry.exit_code == 130 else f"failed with exit code {entry.exit_code}"


def _print(queue: SweepQueue) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from results.tables.overview import format_when
    from results.text import print_line

    entries = queue.entries()
    if not entries:
        print_line(Console(), "The queue is empty.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("id", "sweep", "state", "added"):
        table.add_column(heading, overflow="fold")
    now = datetime.now(UTC)
    for entry in entries:
        added = format_when(datetime.fromisoformat(entry.added).astimezone(), now)
        table.add_row(*map(Text, (entry.short_id, entry.names, _state(entry), added)))
    Console().print(table)
    for entry in entries:
        if entry.state != "waiting":
            print_line(Console(), f"The output of {entry.short_id} is in {queue.log(entry)}")
    if not queue.is_run() and any(entry.state == "waiting" for entry in entries):
        print_line(Console(), "No process runs the queue; start one with `queue --run`.")
