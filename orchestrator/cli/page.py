"""``page``: write a sweep as one offline web page."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import Results, SweepName, Task
from orchestrator.planning.stored_sweeps import find_sweep
from results.text import print_line, size_text
from tasks.contract import RequestError


def page(
    name: SweepName,
    file: Annotated[str, typer.Argument(metavar="FILE.html", help="File to write.")],
    task: Task = None,
    out: Results = "runs",
    json_: Json = False,
) -> int | Outcome:
    """Write a sweep's tables, charts and best trials to one HTML file that works offline."""
    from orchestrator.reports.files import check_target, save_file
    from results.extras import require

    for package in ("jinja2", "plotly"):
        require("page", package)
    if not file.lower().endswith((".html", ".htm")):
        raise RequestError(f"page writes FILE.html, but got {file!r}")
    check_target(file)
    from orchestrator.serving.offline import offline_page

    blob = offline_page(find_sweep(name, task, out)).encode()
    save_file(file, blob)
    if json_:
        return Outcome(fields={"file": file, "num_bytes": len(blob)})
    print_line(Console(), f"Saved {file} ({size_text(len(blob))}).")
    return 0
