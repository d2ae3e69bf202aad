"""Find out how the terminal shows pictures: by Kitty's protocol, as Sixel, or as half blocks."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import termios
from collections.abc import Mapping
from typing import get_args

from orchestrator.view.terminal_query import ATTRIBUTES, ATTRIBUTES_ANSWER, ask_terminal
from results.figures.graphics import BLOCKS, Graphics, Protocol
from tasks.contract import RequestError

Cell = tuple[int, int]  # width and height in pixels
CHOICES = ("auto", *get_args(Protocol), "none")
_MIN_LINES = 10  # a picture is drawn from below, so it must fit on the screen
_BY_TERM: dict[str, Protocol] = {
    "xterm-kitty": "kitty",
    "xterm-ghostty": "kitty",
    "foot": "sixel",
    "mlterm": "sixel",
}
_BY_PROGRAM: dict[str, Protocol] = {
    "WezTerm": "kitty",
    "ghostty": "kitty",
    "iTerm.app": "sixel",
    "Apple_Terminal": "blocks",  # prints the question
}
# In these, pictures of one program would stay on the screen of another.
_MULTIPLEXERS = ("TMUX", "STY", "ZELLIJ")
_UNASKED_TERMS = re.compile("(?:tmux|screen|linux|dumb|eterm)(?:-.*)?")
_KITTY_QUESTION = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
_KITTY_ANSWER = re.compile(rb"\x1b_Gi=31;OK\x1b\\")
_CELL_QUESTION = "\x1b[16t"
_CELL_ANSWER = re.compile(rb"\x1b\[6;(\d+);(\d+)t")
_SIXEL = b"4"  # among the device attributes


def find_graphics(
    choice: str, descriptor: int = 1, environ: Mapping[str, str] = os.environ
) -> Graphics | None:
    """Return how to show pictures in a terminal; None to show none.

    Only a terminal gets pixels. ``auto`` knows some terminals by their variables and asks all
    others. It draws half blocks in tmux, screen and Zellij, and where the variable ``CI`` is set.

    Args:
        choice: one of ``CHOICES``.
        descriptor: the file descriptor of the output.
        environ: environment variables.

    Raises:
        RequestError: for another choice.
    """
    check_choice(choice)
    if choice == "none":
        return None
    size = _size(descriptor)
    if choice == "blocks" or size is None or size[0] < _MIN_LINES:
        return BLOCKS
    cell = _cell(*size)
    protocol = _from_variables(environ) if choice == "auto" else _named(choice)
    if protocol is None or (protocol != "blocks" and cell is None):
        answer, answered_cell = _from_terminal(descriptor, environ)
        protocol, cell = protocol or answer, cell or answered_cell
    if protocol == "blocks" or cell is None:
        return Graphics(protocol=protocol)
    return Graphics(protocol=protocol, cell_width=cell[0], cell_height=cell[1])


def check_choice(choice: str) -> None:
    """Raise an error for a value of ``--graphics`` that does not exist."""
    if choice not in CHOICES:
        raise RequestError(f"--graphics takes {', '.join(CHOICES)}, but got {choice!r}")


def _named(choice: str) -> Protocol:
    return next(each for each in get_args(Protocol) if each == choice)


def _size(descriptor: int) -> tuple[int, int, int, int] | None:
    """Return the lines, columns, width and height (pixels) of a terminal; None for a file."""
    try:
        return struct.unpack("4H", fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(8)))
    except OSError:
        return None


def _cell(lines: int, columns: int, width: int, height: int) -> Cell | None:
    return (width // columns, height // lines) if columns and width and height else None


def _from_variables(environ: Mapping[str, str]) -> Protocol | None:
    """Return what the variables say; None if the terminal has to be asked."""
    term = environ.get("TERM", "")
    if any(environ.get(name) for name in ("CI", *_MULTIPLEXERS)) or _UNASKED_TERMS.fullmatch(term):
        return "blocks"
    by_term = next((p for name, p in _BY_TERM.items() if term.startswith(name)), None)
    return by_term or _BY_PROGRAM.get(environ.get("TERM_PROGRAM", ""))


def _from_terminal(descriptor: int, environ: Mapping[str, str]) -> tuple[Protocol, Cell | None]:
    """Ask the terminal. Without an answer, a variable of Kitty counts, which others inherit."""
    answer = ask_terminal(descriptor, _KITTY_QUESTION + _CELL_QUESTION + ATTRIBUTES)
    attributes = ATTRIBUTES_ANSWER.search(answer)
    if attributes is None:
        return "kitty" if environ.get("KITTY_WINDOW_ID") else "blocks", None
    size = _CELL_ANSWER.search(answer)
    cell = (int(size[2]), int(size[1])) if size and int(size[1]) and int(size[2]) else None
    if _KITTY_ANSWER.search(answer):
        return "kitty", cell
    return "sixel" if _SIXEL in attributes[1].split(b";") else "blocks", cell
