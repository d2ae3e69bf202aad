"""Commands in a real terminal, with keys."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from paths import PYTHONPATH


class Terminal:
    """A process in a terminal of its own, and everything that it has printed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.text = ""

    def read(self, seconds: float = 0.1) -> bool:
        """Read what is printed within some time; return False at the end."""
        while select.select([self._descriptor], [], [], seconds)[0]:
            try:
                found = os.read(self._descriptor, 65536)
            except OSError:  # the process has ended
                return False
            if not found:
                return False
            self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", found.decode(errors="replace"))
        return True

    def press(self, keys: str) -> None:
        """Press keys, after which only new text counts."""
        self.text = ""
        os.write(self._descriptor, keys.encode())

    def wait_for(self, *words: str, seconds: float = 60) -> None:
        """Wait until all words have been printed since the last key."""
        deadline = time.monotonic() + seconds
        while not all(word in self.text for word in words):
            assert self.read() or all(word in self.text for word in words), self.text
            assert time.monotonic() < deadline, self.text

    def end(self) -> str:
        """Read until the process ends; return what it has printed since the last key."""
        deadline = time.monotonic() + 90
        while self.read():
            assert time.monotonic() < deadline, self.text
        return " ".join(self.text.split())


@contextmanager
def in_terminal(*words: str) -> Iterator[Terminal]:
    """A command in a terminal of 100 columns."""
    environment = {
        **os.environ,
        "PYTHONPATH": PYTHONPATH,
        "TERM": "xterm",
        "COLUMNS": "100",
        "LINES": "30",
    }
    ours, theirs = pty.openpty()
    command = ["setsid", "--ctty", sys.executable, "-m", "orchestrator", *words]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    try:
        yield Terminal(ours)
        process.wait(timeout=10)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
