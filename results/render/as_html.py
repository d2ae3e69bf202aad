"""Render the output of rich as HTML, for notebooks."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType

WIDTH = 110  # columns
_FORMAT = (
    '<pre style="white-space:pre;overflow-x:auto;line-height:1.25;'
    "font-family:Menlo,'DejaVu Sans Mono',consolas,'Courier New',monospace\">{code}</pre>"
)


def to_html(content: RenderableType, width: int = WIDTH) -> str:
    """Return a ``<pre>`` element with inline styles."""
    console = Console(
        file=io.StringIO(),
        width=width,
        record=True,
        force_jupyter=False,
        force_terminal=True,
        color_system="truecolor",
    )
    console.print(content)
    return console.export_html(inline_styles=True, code_format=_FORMAT).strip()
