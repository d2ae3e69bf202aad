"""``serve``: show sweeps as live web pages."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import Results
from results.text import print_line

PACKAGES = ("jinja2", "plotly", "starlette", "uvicorn")


def serve(
    out: Results = "runs",
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. Other than 127.0.0.1, pages require a token."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any free one.")] = 8088,
    json_: Json = False,
) -> int | Outcome:
    """Show sweeps as web pages that update while sweeps run.

    It reads the results and writes nothing, so it needs no connection to a running sweep.
    """
    from results.extras import require

    for package in PACKAGES:
        require("serve", package)
    from orchestrator.serving.server import serve as run_server
    from results.storage.reading import find_sweeps

    find_sweeps(out)  # says so at once if the folder or bucket cannot be read
    console = Console()
    address = run_server(out, host, port, lambda line: print_line(console, line))
    return Outcome(fields={"address": address}) if json_ else 0
