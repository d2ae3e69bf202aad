"""Export tables as Markdown, LaTeX, CSV, JSON or HTML, one module each.

A document is the content of one sweep or one comparison: named tables, and pictures, which are
drawn only for formats that show them. Text formats print the cells of the terminal's tables. CSV
and JSON contain ``records``: one row per configuration, one value per column, not rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from results.export.as_csv import to_csv
from results.export.as_html import to_html
from results.export.as_json import to_json
from results.export.as_latex import to_latex, to_latex_siunitx
from results.export.as_markdown import to_markdown
from results.export.document import Document, Export, Picture, make_document, sweep_document

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "Document",
    "Export",
    "Picture",
    "make_document",
    "sweep_document",
]

FORMATS: dict[str, Callable[[Sequence[Document]], str]] = {
    "markdown": to_markdown,
    "latex": to_latex,
    "latex-siunitx": to_latex_siunitx,
    "csv": to_csv,
    "json": to_json,
    "html": to_html,
}
SUFFIXES = {
    "markdown": ".md",
    "latex": ".tex",
    "latex-siunitx": ".tex",
    "csv": ".csv",
    "json": ".json",
    "html": ".html",
}
