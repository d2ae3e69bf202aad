"""Keys in the live view of a sweep in a real terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from paths import PYTHONPATH

from results.storage.reading import read_sweep

SPACE = "GRID = {'level': list(range(12))}\n"


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
def terminal(folder: Path, *, steps: int) -> Iterator[Terminal]:
    """A sweep of twelve slow trials in a terminal of 100 columns."""
    space = folder / "space.py"
    space.write_text(SPACE)
    words = ["sweep", "fragile", "--engine", "local", "--space", str(space), "--name", "s"]
    words += ["--set", f"steps={steps}", "--set", "seconds=0.2", "--out", str(folder / "out")]
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


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_trials_are_listed_paused_and_cancelled_with_keys(tmp_path: Path) -> None:
    with terminal(tmp_path, steps=30) as shown:
        shown.wait_for("? help", "step 2")
        shown.press("p")
        shown.wait_for("paused; p resumes")
        shown.press("j")
        shown.wait_for("1 of 12, sorted by start", "level=0")
        shown.press("jl")
        shown.wait_for("pack 1, 12 trials")
        shown.press("l\r")
        shown.wait_for("total")  # the curve of the main metric
        shown.press("\rx")
        shown.wait_for("y or n")
        shown.press("y")
        shown.wait_for("is cancelled")
        shown.press("p")
        shown.wait_for("resumed")
        shown.press("\x03")
        assert "Stopping after the current step" in shown.end()
    statuses = [row["status"] for row in read_sweep(str(tmp_path / "out"), "fragile", "s").rows()]
    assert statuses.count("cancelled") == 1
    assert statuses.count("interrupted") == 11


def test_d_moves_the_sweep_to_the_background(tmp_path: Path) -> None:
    with terminal(tmp_path, steps=12) as shown:
        shown.wait_for("? help", "total")  # the metric of a completed step
        shown.press("d")
        printed = shown.end()
    assert "fragile/s runs in the background (pid " in printed
    assert "python -m orchestrator attach fragile/s" in printed

    def is_complete() -> bool:
        rows = read_sweep(str(tmp_path / "out"), "fragile", "s").rows()
        return [row["status"] for row in rows] == ["finished"] * 12

    wait_for(is_complete)
    manifest = read_sweep(str(tmp_path / "out"), "fragile", "s").manifest
    assert manifest.num_runs == 2
    assert manifest.earlier_seconds > 0  # the time before d
