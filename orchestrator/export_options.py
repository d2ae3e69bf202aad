"""The options of every command that prints tables in a format."""

from __future__ import annotations

from typing import Annotated

import typer

Format = Annotated[
    str,
    typer.Option("--format", help="terminal, markdown, latex, latex-siunitx, csv, json or html."),
]
To = Annotated[
    str | None,
    typer.Option("--to", help="Write to this file or folder instead of printing, with --format."),
]
TableName = Annotated[
    str | None,
    typer.Option("--table", help="Only this table, by its number or name, with --format."),
]
