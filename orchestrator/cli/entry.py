"""The application, and what it prints where a command cannot go on."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import typer

from orchestrator import discovery
from tasks.contract import SweepError

INTERRUPTED = "interrupted; the same command goes on from the last checkpoints"

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Sweeps for multimodal research: run a paper's grids and print its tables.",
)


# Typer offers only leaves of its tree of usage errors; their parent is what we catch.
_UsageError: Any = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command; an expected error is one line on stderr and exit status 2."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        discovery.check_layout()
        status = app(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except _UsageError as error:
        if not error.format_message():  # no arguments at all: the help is already printed
            sys.exit(2)
        fail(f"{error.format_message().rstrip('.')}; see --help", 2)
    except (typer.Abort, KeyboardInterrupt):
        fail(INTERRUPTED, 130)
    except SweepError as error:
        fail(str(error), 2)
    except BrokenPipeError:
        sys.exit(0)


def fail(message: str, status: int) -> NoReturn:
    """Print an error as one line and exit."""
    line = "".join(sign if sign.isprintable() else "?" for sign in " ".join(message.split()))
    print(f"error: {line}", file=sys.stderr)  # what a file's name holds must not steer a terminal
    sys.exit(status)
