"""The Typer application, and how errors are printed."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from orchestrator.cli import completion
from orchestrator.cli.json_output import (
    Outcome,
    document,
    error_fields,
    stdout_to_stderr,
    wants_json,
)
from orchestrator.planning import discovery
from orchestrator.view.output import outlive_readers
from tasks.contract import SweepError

INTERRUPTED = "interrupted; run the same command again to resume from the last checkpoints"
_INTERRUPTED_STATUS = 130
INTERNAL = 3  # exit status after an unexpected error; 1 is a result, such as a failed trial
_ALIASES = {"ls": "list"}
_WORKING = ("sweep", "queue", "verify", "replay", "prune")  # outlive their readers


class _PipeError(Exception):
    """A ``BrokenPipeError`` of a command, which Typer would turn into a silent exit."""


class _Group(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _PipeError from error


app = typer.Typer(
    cls=_Group,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


# Typer exports some of its usage errors, but not the class that they have in common.
_UsageError: Any = typer.BadParameter.__mro__[1]


def _print_version(wanted: bool) -> None:
    if wanted:
        from orchestrator.cli.version import version_line

        print(version_line())
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the versions and exit."
        ),
    ] = False,
) -> None:
    """Reproduce the tables of a paper as sweeps, with published and measured values."""
    if context.invoked_subcommand is None:
        print(context.get_help())


class CommandError(Exception):
    """Ends a command with a message and an exit status."""

    def __init__(self, kind: str, message: str, status: int) -> None:
        super().__init__(message)
        self.kind, self.status = kind, status


def main() -> None:
    """Run the command and exit with its status.

    An expected error prints one line to stderr, or with ``--json`` a JSON document to stdout.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    words = sys.argv[1:]
    if _command_of(words) in _WORKING:
        outlive_readers()
    try:
        if wants_json(words):
            sys.exit(_print_document(words))
        status = _run(words).status
        _discard_unread_output()
        sys.exit(status)
    except CommandError as error:
        from results.text import wrap_for

        print(wrap_for(sys.stderr, f"error: {_one_line(error)}"), file=sys.stderr)
        sys.exit(error.status)


def _print_document(words: Sequence[str]) -> int:
    """Run the command and print its JSON document; return its exit status."""
    # Whoever read the document may have seen enough before its end.
    with contextlib.suppress(BrokenPipeError), stdout_to_stderr() as stdout:
        try:
            outcome = _run(words)
        except CommandError as error:
            fields = error_fields(error.kind, _one_line(error))
            outcome = Outcome(status=error.status, fields=fields)
        print(document(_command_of(words), outcome.status, outcome.fields), file=stdout)
        stdout.flush()
    return outcome.status


def _discard_unread_output() -> bool:
    """Discard standard output if nobody reads it anymore, as after ``| head``.

    Otherwise Python reports an error when it writes the rest at its end.

    Returns:
        Whether nobody reads it.
    """
    try:
        sys.stdout.flush()
        descriptor, poll = sys.stdout.fileno(), select.poll()
        poll.register(descriptor, 0)
        is_unread = any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
    except BrokenPipeError:
        is_unread = True
    except (AttributeError, OSError, ValueError):  # Windows, or no real file
        return False
    if is_unread:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return is_unread


def _run(words: Sequence[str]) -> Outcome:
    """Run the command.

    Raises:
        CommandError: if it ends with an expected error.
    """
    try:
        completion.prepare()
        discovery.check_shadowing()
        returned = app(standalone_mode=False)
    except _UsageError as error:
        from orchestrator.cli.usage import explain

        raise CommandError("UsageError", explain(error, words), 2) from None
    except (typer.Abort, KeyboardInterrupt):
        raise CommandError("Interrupted", INTERRUPTED, _INTERRUPTED_STATUS) from None
    except SweepError as error:
        raise CommandError(type(error).__name__, str(error), 2) from None
    except CommandError:
        raise
    except _PipeError as error:
        if not wants_json(words) and _discard_unread_output():
            return Outcome()
        raise _internal_error(error.__cause__ or error) from None
    except Exception as error:
        raise _internal_error(error) from None
    if isinstance(returned, Outcome):
        return returned
    if returned == _INTERRUPTED_STATUS and wants_json(words):  # Typer caught Ctrl-C
        raise CommandError("Interrupted", INTERRUPTED, _INTERRUPTED_STATUS)
    return Outcome(status=returned if isinstance(returned, int) else 0)


def _internal_error(error: BaseException) -> CommandError:
    """Print where an unexpected error was raised; return the error of the command."""
    traceback.print_exception(error)
    text = f"unexpected {type(error).__name__}: {error}; the lines above show where"
    return CommandError("InternalError", text, INTERNAL)


def _command_of(words: Sequence[str]) -> str | None:
    """Return the name of the command, which is the first word that is no option."""
    name = next((word for word in words if not word.startswith("-")), None)
    return _ALIASES.get(name, name) if name else None


def _one_line(message: object) -> str:
    """Return a message without line breaks and without characters that control a terminal."""
    # A file name in the message may hold such characters.
    line = " ".join(str(message).split())
    return "".join(sign if sign.isprintable() else "?" for sign in line)
