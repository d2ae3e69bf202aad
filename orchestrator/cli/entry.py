"""The application, and what it prints where a command cannot go on."""

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


# Typer offers only leaves of its tree of usage errors; their parent is what we catch.
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
    """Run the experiment tables of a paper as sweeps, and print published beside measured."""
    if context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """Run the command; an expected error is one line on stderr and exit status 2."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        completion.prepare()
        discovery.check_layout()
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
    """Print an error and exit: one line, which a terminal gets broken at spaces."""
    from results.text import wrap_for

    line = "".join(sign if sign.isprintable() else "?" for sign in " ".join(message.split()))
    text = wrap_for(sys.stderr, f"error: {line}")
    print(text, file=sys.stderr)  # what a file's name holds must not steer a terminal
    sys.exit(status)
