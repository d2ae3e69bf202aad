"""Ask the terminal a question without taking the user's keys."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.view.keys import is_foreground

#: Asks for the device attributes, which every terminal answers; so it comes last in a question.
ATTRIBUTES = "\x1b[c"
ATTRIBUTES_ANSWER = re.compile(rb"\x1b\[\?([\d;]*)c")
_ANSWER = re.compile(rb"\x1b\[[?\d;]*[a-z]|\x1b_G[^\x1b]*\x1b\\")
_CUT_ANSWER = re.compile(rb"\x1b(?:\[[?\d;]*|_[^\x1b]*\x1b?)?\Z")
_SECONDS = 0.5  # a connection to another continent answers within this time
_SECONDS_IF_BEGUN = 1.5


def ask_terminal(descriptor: int, question: str) -> bytes:
    """Return what the terminal of a file descriptor answers, up to its device attributes.

    The answer is empty if the terminal does not begin it in half a second or not complete it in
    1.5 s, if this process is in the background, or if keys are waiting to be read. Keys that are
    pressed before the answer is complete are given back to the terminal, where the system allows
    that.

    Args:
        descriptor: a terminal.
        question: escape sequences, the last of which is ``ATTRIBUTES``.
    """
    try:
        terminal = os.open(os.ttyname(descriptor), os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return b""
    try:
        if not is_foreground(terminal):  # otherwise, the kernel would stop this process
            return b""
        with _single_bytes(terminal):
            if select.select([terminal], [], [], 0)[0]:
                return b""
            os.write(terminal, question.encode())
            answer = _read(terminal)
            _give_back(terminal, typed_keys(answer))
        return answer if ATTRIBUTES_ANSWER.search(answer) else b""
    except (OSError, termios.error):
        return b""
    finally:
        os.close(terminal)


@contextmanager
def _single_bytes(terminal: int) -> Iterator[None]:
    """Read bytes as they come, without echo. TCSANOW keeps the keys that are waiting."""
    before = termios.tcgetattr(terminal)
    changed = list(before)
    changed[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(terminal, termios.TCSANOW, changed)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)


def _read(terminal: int) -> bytes:
    """Read single bytes, so that keys after the answer stay where they are."""
    answer, start = b"", time.monotonic()
    while not ATTRIBUTES_ANSWER.search(answer):
        has_begun = _ANSWER.search(answer) or _CUT_ANSWER.search(answer)
        left = start + (_SECONDS_IF_BEGUN if has_begun else _SECONDS) - time.monotonic()
        if left <= 0 or not select.select([terminal], [], [], left)[0]:
            break
        found = os.read(terminal, 1)
        if not found:
            break
        answer += found
    return answer


def typed_keys(found: bytes) -> bytes:
    """Return what the user typed, without the answers; the last answer may be incomplete."""
    return _CUT_ANSWER.sub(b"", _ANSWER.sub(b"", found))


def _give_back(terminal: int, keys: bytes) -> None:
    with contextlib.suppress(OSError):  # newer kernels may forbid it
        for key in keys:
            fcntl.ioctl(terminal, termios.TIOCSTI, bytes([key]))
