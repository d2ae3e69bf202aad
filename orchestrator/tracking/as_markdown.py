"""Tables of samples as Markdown, for trackers that show text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.export.as_markdown import escape


def markdown_table(columns: Mapping[str, Sequence[Any]]) -> str:
    """Return columns of equal length as a Markdown table."""
    rows = zip(*columns.values(), strict=True)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(escape(str(cell)) for cell in line)} |" for line in lines)
