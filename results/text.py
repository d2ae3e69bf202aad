"""Numbers with their nouns, and lines of text for terminals."""

from __future__ import annotations

import shutil
import textwrap
from typing import IO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

GLUE = "\u00a0"  # a space where no line ends; printed as a space
_JOINTS = "/-_.,=:"  # a word that is wider than a line is broken after one of these


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
    """Print a line, on a terminal broken at spaces, and a word that is wider after a slash or dash.

    A file or a pipe gets it in one piece.
    """
    lines = wrap(text, console.width) if console.is_terminal else [text]
    console.print(Text("\n".join(lines), style=style), soft_wrap=True)


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` columns, broken between words.

    A word that is wider than a line is broken after a slash, a dash or the like, if it has one.
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
        joints = [at for at in range(2, end + 1) if word[at - 1] in f"{_JOINTS}{GLUE}"]
        end = joints[-1] if joints else end
        pieces.append(word[:end])
        word = word[end:]
    return [*pieces, word]
