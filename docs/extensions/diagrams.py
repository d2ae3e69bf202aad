"""Draw the Mermaid diagrams of a page as SVG while the site is built.

GitHub draws them by itself. In the site they need no script, so a page works without a network.
"""

from __future__ import annotations

import re
from typing import Any
from zlib import crc32

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

_SCALE = 0.75  # of the diagram's own size, whose text is 14 pixels high; a narrow screen scrolls
_FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.M | re.S)


class _Diagrams(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        return _FENCE.sub(lambda match: self._figure(match[1]), "\n".join(lines)).split("\n")

    def _figure(self, source: str) -> str:
        import mmdr

        svg = mmdr.render(source).svg().replace("merman", f"diagram-{crc32(source.encode())}")
        width = float(svg.split('viewBox="')[1].split()[2])
        svg = svg.replace('width="100%"', f'width="{_SCALE * width:.0f}"', 1)
        return str(self.md.htmlStash.store(f'<figure class="diagram">{svg}</figure>'))


class DiagramExtension(Extension):
    """Replaces each fenced Mermaid diagram by its picture."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  # Markdown calls it so
        """Register it between the normalizing of white space (30) and the code blocks (25)."""
        md.preprocessors.register(_Diagrams(md), "diagrams", 27)


def makeExtension(**options: Any) -> DiagramExtension:  # noqa: N802  # Markdown looks for this name
    """Return the extension."""
    return DiagramExtension(**options)
