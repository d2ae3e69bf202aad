"""Export tables as GitHub Markdown, each with its title."""

from __future__ import annotations

import re
from collections.abc import Sequence

from results.export.cells import columns_of
from results.export.document import Document

# Characters that begin markup. An underscore in a word, or a bracket without a link, does not.
_MARKUP = re.compile(r"[\\`*~<|$]|&(?=[#\w]+;)|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])|!(?=\[)")
_LINE_START = re.compile(r"^(#|[-+>=](?=\s|$)|[-=_*]{2,}$|\d+(?=[.)](\s|$)))")


def to_markdown(documents: Sequence[Document]) -> str:
    """Return every table with its title above and its caption below."""
    parts = []
    for table in (export.table for document in documents for export in document.tables):
        columns = columns_of(table)
        rules = ["---:" if column.is_numeric else ":---" for column in columns]
        lines = [f"### {escape(table.title)}", "", _bar([escape(c.heading) for c in columns])]
        lines.append(_bar(rules))
        rows = zip(*(column.cells for column in columns), strict=True)
        lines += [_bar([escape(cell) for cell in row]) for row in rows]
        parts.append("\n".join([*lines, "", *map(_line, table.caption)]).rstrip())
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Escape text for Markdown, on one line."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))


def _line(text: str) -> str:
    """Return a separate line, escaped so that it does not become a list or a heading."""
    escaped = escape(text)
    found = _LINE_START.match(escaped)
    if not found:
        return f"{escaped}  "
    start = found[0]
    if start.isdigit():
        return f"{start}\\{escaped[len(start) :]}  "
    return f"\\{escaped}  "


def _bar(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
