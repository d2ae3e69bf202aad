"""Format numbers with nouns, and wrap text for terminals."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from typing import IO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

NBSP = "\u00a0"  # lines are not broken here; it is printed as a space
_JOINTS = "/-_.,=:"  # a word that is wider than a line may be broken after these


def plural(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 trial``, ``20 trials``, ``1,000 queries``."""
    return f"{number:,} {noun if number == 1 else plural_of(noun)}"


def plural_of(noun: str) -> str:
    """Return the plural: ``trials``, ``queries``, ``passes``."""
    if noun.endswith("y") and noun[-2:-1] not in set("aeiou"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def size_text(num_bytes: int) -> str:
    """Format a size with at least two digits: ``512 bytes``, ``1.1 MB``, ``23 GB`` (MB is 10^6)."""
    if num_bytes < 1000:
        return plural(num_bytes, "byte")
    size, units = num_bytes / 1000, ["kB", "MB", "GB", "TB"]
    while size >= 999.5 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:.1f} {units[0]}" if size < 9.95 else f"{size:.0f} {units[0]}"


def wrap_for(stream: IO[str], text: str) -> str:
    """Wrap text at spaces for a terminal; for a file or a pipe, return it unchanged."""
    if not stream.isatty():
        return text
    width = max(20, shutil.get_terminal_size().columns)
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def print_line(console: Console, text: str, style: str = "") -> None:
    """Print a line of text, wrapped on a terminal and unchanged in a file or a pipe."""
    lines = wrap(text, console.width) if console.is_terminal else [text]
    console.print(Text("\n".join(lines), style=style), soft_wrap=True)


def wrap(text: str, width: int) -> list[str]:
    """Wrap text between words into lines of at most ``width`` columns.

    A word that is wider than a line is broken after a slash, a dash or a similar sign, if possible.
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line, used = "", 0
        for index, word in enumerate(paragraph.split(" ")):
            size = cell_len(word)
            if index and used + 1 + size <= width:
                line, used = f"{line} {word}", used + 1 + size
                continue
            if index:
                lines.append(line.rstrip(" "))
            *whole, line = _pieces(word, width)
            lines += whole
            used = cell_len(line)
        lines.append(line)
    return lines


def _pieces(word: str, width: int) -> list[str]:
    pieces = []
    while cell_len(word) > width:
        end = width
        while end > 1 and cell_len(word[:end]) > width:
            end -= 1
        joints = [at for at in range(2, end + 1) if word[at - 1] in f"{_JOINTS}{NBSP}"]
        end = joints[-1] if joints else end
        pieces.append(word[:end])
        word = word[end:]
    return [*pieces, word]
