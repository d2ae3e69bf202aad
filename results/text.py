"""Numbers with their nouns, and lines of text for terminals."""

from __future__ import annotations

import shutil
import textwrap
from typing import IO

from rich.console import Console
from rich.text import Text


def plural(number: int, noun: str) -> str:
    """``1 trial``, ``20 trials``, ``1,000 queries``; a noun may have words before it."""
    return f"{number:,} {noun if number == 1 else plural_of(noun)}"


def plural_of(noun: str) -> str:
    """``trial`` as ``trials``, ``query`` as ``queries``, ``pass`` as ``passes``."""
    if noun.endswith("y") and noun[-2:-1] not in set("aeiou"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def size_text(num_bytes: int) -> str:
    """``512 bytes``, ``1.1 MB``, ``23 GB``: two digits at least, in powers of 1000."""
    if num_bytes < 1000:
        return plural(num_bytes, "byte")
    size, units = num_bytes / 1000, ["kB", "MB", "GB", "TB"]
    while size >= 999.5 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:.1f} {units[0]}" if size < 9.95 else f"{size:.0f} {units[0]}"


def wrap_for(stream: IO[str], text: str) -> str:
    """The text broken at spaces for a terminal; as one line for a file or a pipe."""
    if not stream.isatty():
        return text
    width = max(20, shutil.get_terminal_size().columns)
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def print_line(console: Console, text: str, style: str = "") -> None:
    """Print a line, broken at spaces on a terminal; a file or a pipe gets it in one piece."""
    console.print(Text(text, style=style), soft_wrap=not console.is_terminal)
