"""Keys in the live view of a sweep in a real terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from terminals import Terminal, in_terminal

from results.storage.reading import read_sweep

SPACE = "GRID = {'level': list(range(12))}\n"


@contextmanager
def terminal(folder: Path, *, steps: int) -> Iterator[Terminal]:
    """A sweep of twelve slow trials in a terminal."""
    space = folder / "space.py"
    space.write_text(SPACE)
    words = ["sweep", "fragile", "--engine", "local", "--space", str(space), "--name", "s"]
    words += ["--set", f"steps={steps}", "--set", "seconds=0.2", "--out", str(folder / "out")]
    with in_terminal(*words) as opened:
        yield opened


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
