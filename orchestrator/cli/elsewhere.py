"""Runs the command ``sweep`` in another process: at once, or when the queue comes to it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from orchestrator.cli.json_output import Outcome
from orchestrator.planning.stored_sweeps import command
from results.text import print_line

if TYPE_CHECKING:
    from orchestrator.running.plan import Plan


def start_in_background(first: Plan, as_json: bool) -> int | Outcome:
    """Start the same command in another process, and say how to follow it."""
    from orchestrator.running.background import start_sweep
    from orchestrator.running.request_checks import check_can_start

    check_can_start(first)
    started = start_sweep(_foreground_words(), first.request.out, first.task.name, first.name)
    if as_json:
        return Outcome(fields={"background": dataclasses.asdict(started)})
    console, attach = Console(), command("attach", started.sweep, out=first.request.out)
    if not started.has_started:
        line = f"{started.sweep} is still starting in the background (pid {started.pid})"
        print_line(console, f"{line}; its output is in {started.log}.")
        print_line(console, f"{attach} shows it once it runs.")
        return 0
    print_line(console, f"{started.sweep} runs in the background (pid {started.pid}).")
    print_line(console, f"{attach} shows it, and its output is in {started.log}.")
    return 0


def add_to_queue(plans: Sequence[Plan], as_json: bool) -> int | Outcome:
    """Add the same command to the queue, and start the queue if it does not run."""
    from orchestrator.cli.queue import entry_fields
    from orchestrator.running.queue import SweepQueue, queue_folder
    from orchestrator.running.request_checks import check_can_start

    for plan in plans:
        check_can_start(plan)
    found = SweepQueue(queue_folder())
    entry = found.add(_foreground_words(), [f"{each.task.name}/{each.name}" for each in plans])
    number = len(found.entries())
    found.start()
    if as_json:
        return Outcome(fields={"queued": entry_fields(found, entry)})
    line = f"Added {entry.names} to the queue as number {number}"
    print_line(Console(), f"{line}; {command('queue')} lists it.")
    return 0


def _foreground_words() -> list[str]:
    """Return the arguments of this command without the options that start another process."""
    return [each for each in sys.argv[1:] if each not in ("--background", "--queue", "--json")]
