"""The Typer application, and how errors are printed."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, NoReturn

import typer

from orchestrator.cli import completion
from orchestrator.planning import discovery
from tasks.contract import SweepError

INTERRUPTED = "interrupted; run the same command again to resume from the last checkpoints"

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


def main() -> None:
    """Run the command. An expected error prints one line to stderr and exits with status 2."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        completion.prepare()
        discovery.check_shadowing()
        status = app(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except _UsageError as error:
        from orchestrator.cli.usage import explain

        fail(explain(error, sys.argv[1:]), 2)
    except (typer.Abort, KeyboardInterrupt):
        fail(INTERRUPTED, 130)
    except SweepError as error:
        fail(str(error), 2)
    except BrokenPipeError:
        sys.exit(0)


def fail(message: str, status: int) -> NoReturn:
    """Print an error as one line, wrapped to the width of a terminal, and exit."""
    from results.text import wrap_for

    # A file name in the message may hold control characters, which could control the terminal.
    line = "".join(sign if sign.isprintable() else "?" for sign in " ".join(message.split()))
    print(wrap_for(sys.stderr, f"error: {line}"), file=sys.stderr)
    sys.exit(status)
