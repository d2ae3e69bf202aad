"""Write the command reference from the commands themselves: a page's mark becomes their help."""

from __future__ import annotations

from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

from docs.extensions.help_tables import reference

MARK = "<!-- commands -->"


class _Reference(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        text = "\n".join(lines)
        return (text.replace(MARK, reference()) if MARK in text else text).split("\n")


class ReferenceExtension(Extension):
    """Replaces the mark by the reference."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  # Markdown calls it so
        """Register it before anything reads the lines."""
        md.preprocessors.register(_Reference(md), "command_reference", 50)


def makeExtension(**options: Any) -> ReferenceExtension:  # noqa: N802  # Markdown looks for this name
    """Return the extension."""
    return ReferenceExtension(**options)
