"""The Typer application, and how errors are printed."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from orchestrator.cli import completion
from orchestrator.cli.json_output import (
    Outcome,
    document,
    error_fields,
    stdout_to_stderr,
    wants_json,
)
from orchestrator.planning import discovery
from tasks.contract import SweepError

INTERRUPTED = "interrupted; run the same command again to resume from the last checkpoints"
_INTERRUPTED_STATUS = 130
INTERNAL = 3  # exit status after an unexpected error; 1 is a result, such as a failed trial
_ALIASES = {"ls": "list"}

app = typer.Typer(
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
    try:
        if not wants_json(words):
            sys.exit(_run(words).status)
        with stdout_to_stderr() as stdout:
            try:
                outcome = _run(words)
            except CommandError as error:
                outcome = Outcome(
                    status=error.status, fields=error_fields(error.kind, _one_line(error))
                )
            print(document(_command_of(words), outcome.status, outcome.fields), file=stdout)
            stdout.flush()
        sys.exit(outcome.status)
    except CommandError as error:
        from results.text import wrap_for

        print(wrap_for(sys.stderr, f"error: {_one_line(error)}"), file=sys.stderr)
        sys.exit(error.status)
    except BrokenPipeError:
        sys.exit(0)


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
    except (CommandError, BrokenPipeError):  # the latter: whoever read the output has seen enough
        raise
    except Exception as error:
        traceback.print_exc()
        text = f"unexpected {type(error).__name__}: {error}; the lines above show where"
        raise CommandError("InternalError", text, INTERNAL) from None
    if isinstance(returned, Outcome):
        return returned
    if returned == _INTERRUPTED_STATUS and wants_json(words):  # Typer caught Ctrl-C
        raise CommandError("Interrupted", INTERRUPTED, _INTERRUPTED_STATUS)
    return Outcome(status=returned if isinstance(returned, int) else 0)


def _command_of(words: Sequence[str]) -> str | None:
    """Return the name of the command, which is the first word that is no option."""
    name = next((word for word in words if not word.startswith("-")), None)
    return _ALIASES.get(name, name) if name else None


def _one_line(message: object) -> str:
    """Return a message without line breaks and without characters that control a terminal."""
    # A file name in the message may hold such characters.
    line = " ".join(str(message).split())
    return "".join(sign if sign.isprintable() else "?" for sign in line)
