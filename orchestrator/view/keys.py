"""Reads single keys from the terminal while a sweep runs."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_WAIT_SECONDS = 0.2  # between two checks for the end
_SEQUENCES = {
    "[A": "up",
    "OA": "up",
    "[B": "down",
    "OB": "down",
    "[5~": "page-up",
    "[6~": "page-down",
    "[H": "home",
    "OH": "home",
    "[F": "end",
    "OF": "end",
}
_NAMES = {"\r": "enter", "\n": "enter", "\x7f": "backspace", "\x08": "backspace"}


def can_read_keys() -> bool:
    """Return whether the standard input is a terminal and this process is in its foreground."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        descriptor = sys.stdin.fileno()
        return os.isatty(descriptor) and is_foreground(descriptor)
    return False


@contextmanager
def read_keys(on_key: Callable[[str], None]) -> Iterator[None]:
    """Call a function with the name of each key that is pressed, from a thread of its own.

    Ctrl-C and Ctrl-Z keep their meaning. The terminal gets its settings back at the end.
    """
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    ended = threading.Event()
    thread = threading.Thread(target=_read, args=(descriptor, on_key, ended), daemon=True)
    tty.setcbreak(descriptor)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        if is_foreground(descriptor):  # otherwise, the kernel would stop this process
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _read(descriptor: int, on_key: Callable[[str], None], ended: threading.Event) -> None:
    while not ended.is_set():
        if not is_foreground(descriptor):  # after Ctrl-Z and bg
            ended.wait(_WAIT_SECONDS)
            continue
        if not termios.tcgetattr(descriptor)[3] & termios.ICANON:
            if select.select([descriptor], [], [], _WAIT_SECONDS)[0]:
                pressed = os.read(descriptor, 1024)
                if not pressed:  # the terminal was closed
                    return
                for key in split_keys(pressed.decode(errors="ignore")):
                    on_key(key)
        else:
            tty.setcbreak(descriptor)  # the shell has changed it after Ctrl-Z and fg


def split_keys(text: str) -> list[str]:
    """Return the names of keys: ``up`` for an arrow, ``escape``, or a character itself."""
    keys = []
    while text:
        found = next((s for s in _SEQUENCES if text.startswith(f"\x1b{s}")), None)
        if found is not None:
            keys.append(_SEQUENCES[found])
            text = text[1 + len(found) :]
            continue
        sign, text = text[0], text[1:]
        if sign == "\x1b":
            if text[:1] in ("[", "O"):  # a key that has no meaning here
                break
            keys.append("escape")
        elif sign in _NAMES:
            keys.append(_NAMES[sign])
        elif sign.isprintable():
            keys.append(sign)
    return keys


def is_foreground(descriptor: int) -> bool:
    """Return whether this process is in the foreground of a terminal, which it may then read."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False
