"""``pause``, ``resume``, ``stop`` and ``cancel``: steer a sweep that another process runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import Results, SweepName, Task
from orchestrator.cli.running_sweeps import check_not_running, find_running
from orchestrator.planning.stored_sweeps import locate
from tasks.contract import RequestError

if TYPE_CHECKING:
    from orchestrator.control.commands import Command


def pause(
    name: SweepName, task: Task = None, out: Results = "runs", json_: Json = False
) -> int | Outcome:
    """Pause a running sweep.

    It starts no new trials, and running ones save a checkpoint and hold after their current step.
    """
    from orchestrator.control.commands import Command

    return _send(name, task, out, Command(action="pause"), json_)


def resume(
    name: SweepName, task: Task = None, out: Results = "runs", json_: Json = False
) -> int | Outcome:
    """Resume a paused sweep."""
    from orchestrator.control.commands import Command

    return _send(name, task, out, Command(action="resume"), json_)


def stop(
    name: SweepName, task: Task = None, out: Results = "runs", json_: Json = False
) -> int | Outcome:
    """Stop a running sweep like Ctrl-C in its terminal: run its command again to resume."""
    from orchestrator.control.commands import Command

    return _send(name, task, out, Command(action="stop"), json_)


def cancel(
    name: SweepName,
    trial: Annotated[str, typer.Argument(help="Trial id or a unique prefix; see `ps NAME`.")],
    reason: Annotated[
        str | None, typer.Option(help="Reason to record (default: who cancelled it).")
    ] = None,
    task: Task = None,
    out: Results = "runs",
    json_: Json = False,
) -> int | Outcome:
    """Cancel one trial of a sweep, whether the sweep is running or not.

    It is recorded with the status "cancelled" and runs again only with `sweep --retry-cancelled`.
    """
    from orchestrator.control.commands import Command, cancelled_by
    from orchestrator.control.request import open_running

    reason = " ".join((reason or cancelled_by()).split())
    root, of, found = locate(name, task, out)
    sweep = open_running(root, of, found)
    if not sweep.drivers:
        check_not_running(sweep, root)
        return _cancel_stopped((root, of, found), trial, reason, json_)
    return _send(name, task, out, Command(action="cancel", trial=trial, reason=reason), json_)


def _cancel_stopped(
    place: tuple[str, str, str], text: str, reason: str, as_json: bool
) -> int | Outcome:
    """Cancel a trial of a sweep that no process runs."""
    from rich.console import Console

    from orchestrator.running.cancel_stopped import cancel_stopped
    from results.text import print_line

    full_name, message = f"{place[1]}/{place[2]}", "is cancelled"
    trial_id = cancel_stopped(*place, text, reason)
    if as_json:
        answer = {"host": None, "pid": None, "done": True, "message": message}
        return Outcome(fields={"sweep": full_name, "answers": [{**answer, "trial_id": trial_id}]})
    where = "the sweep is not running; its next run skips the trial"
    print_line(Console(), f"{full_name} {trial_id} {message}; {where}.")
    return 0


def _send(name: str, task: str | None, out: str, command: Command, as_json: bool) -> int | Outcome:
    """Send a command to the processes that run a sweep, and print their answers."""
    from rich.console import Console

    from orchestrator.control.request import request
    from results.text import print_line

    sweep = find_running(name, task, out, to_resume=command.action == "resume")
    answers = [(driver, request(sweep, driver, command)) for driver in sweep.drivers]
    refused = [answer for _, answer in answers if answer is not None and not answer.done]
    if len(refused) == len(answers):
        raise RequestError(f"{sweep.full_name}: {refused[0].message}")
    if not as_json:
        for driver, answer in answers:
            text = "has not answered yet; it will after its current step"
            line = text if answer is None else answer.message
            trial = f" {answer.trial_id}" if answer is not None and answer.trial_id else ""
            print_line(Console(), f"{sweep.full_name}{trial} ({driver.describe()}): {line}.")
        return 0
    found = [
        {
            "host": driver.host,
            "pid": driver.pid,
            "done": None if answer is None else answer.done,
            "message": None if answer is None else answer.message,
            "trial_id": None if answer is None else answer.trial_id or None,
        }
        for driver, answer in answers
    ]
    return Outcome(fields={"sweep": sweep.full_name, "answers": found})
