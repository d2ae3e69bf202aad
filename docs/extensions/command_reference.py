"""Write references from the code: a page's mark becomes the help of all commands, or the fields of
their JSON documents.
"""

from __future__ import annotations

from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

from docs.extensions.help_tables import reference
from docs.extensions.json_tables import json_reference

MARKS = {"<!-- commands -->": reference, "<!-- json -->": json_reference}


class _Reference(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        text = "\n".join(lines)
        for mark, make in MARKS.items():
            text = text.replace(mark, make()) if mark in text else text
        return text.split("\n")


class ReferenceExtension(Extension):
    """Replaces each mark by its reference."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  # Markdown calls it so
        """Register it before anything reads the lines."""
        md.preprocessors.register(_Reference(md), "command_reference", 50)


def makeExtension(**options: Any) -> ReferenceExtension:  # noqa: N802  # Markdown looks for this name
    """Return the extension."""
    return ReferenceExtension(**options)
