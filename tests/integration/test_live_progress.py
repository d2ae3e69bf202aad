"""What the live view receives from real sweeps, on both engines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import Run, small_cluster
from paths import PYTHONPATH

#: Runs a sweep and writes each event that the view receives to a file.
WATCH = """
import os
from orchestrator.view import live
from orchestrator.cli import main

def note(*words):
    with open(os.environ["EVENTS"], "a") as file:
        print(*words, file=file)

class Watched(live.SweepView):
    def progressed(self, trial, share, next_at):
        super().progressed(trial, share, next_at)
        note("progressed", trial.id, round(share, 2), self._state.step(trial.id))
        note("left", self._state.time_left())
    def stepped(self, trial, timed, replayed=False):
        super().stepped(trial, timed, replayed)
        note("stepped", trial.id, timed.step.at)
    def stage_progressed(self, stage, share):
        super().stage_progressed(stage, share)
        note("stage", stage.key, share)

import orchestrator.running.execute
orchestrator.running.execute.SweepView = Watched
main()
"""


def watch(tmp_path: Path, *args: str) -> list[list[str]]:
    (tmp_path / "watch.py").write_text(WATCH)
    space = tmp_path / "space.py"
    space.write_text("GRID = {'level': [0, 1]}\n")
    command = [sys.executable, str(tmp_path / "watch.py"), "sweep", "fragile", "--space"]
    command += [str(space), "--out", str(tmp_path / "out"), *args]
    notes = tmp_path / "events"
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH, "EVENTS": str(notes)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split() for line in notes.read_text().splitlines()]


def check_events(events: Sequence[Sequence[str]]) -> None:
    """There is progress within a stage and within the first step, with an estimate."""
    assert any(kind == "stage" and 0 < float(rest[1]) < 1 for kind, *rest in events)
    trials = {rest[0] for kind, *rest in events if kind == "stepped"}
    assert len(trials) == 2
    for trial in trials:
        own = [event for event in events if trial in event]
        first = next(n for n, event in enumerate(own) if event[0] == "stepped")
        shares = [float(event[2]) for event in own[:first] if event[0] == "progressed"]
        assert len(shares) >= 2
        assert shares == sorted(shares)
        assert 0 < shares[-1] < 1
        assert own[first - 1][3:5] == ["step", "1/2,"]
    began = next(n for n, event in enumerate(events) if event[0] == "stepped")
    left = [event for event in events[:began] if event[0] == "left" and len(event) > 1]
    assert left  # an estimate before the first step has ended
    assert all(re.fullmatch(r"about 0:\d\d left", " ".join(event[1:])) for event in left)


SLOW = ("--set=steps=2", "--set=seconds=1.5", "--set=stage_seconds=1.5")


def test_progress_arrives_within_the_first_step_on_the_local_engine(tmp_path: Path) -> None:
    check_events(watch(tmp_path, "--engine", "local", *SLOW))


def test_progress_arrives_within_the_first_step_on_ray(tmp_path: Path) -> None:
    # The stage must last until the processes that report progress have started.
    slow = ("--set=steps=2", "--set=seconds=3", "--set=stage_seconds=10")
    with small_cluster() as address:
        check_events(watch(tmp_path, "--address", address, "--gpus-per-trial=0.5", *slow))


def test_resumed_search_counts_earlier_trials(tmp_path: Path) -> None:
    search = ("--space", "search", "--set=steps=1", "--engine", "local")
    Run(tmp_path, *search, "--trials=3").end()
    output = Run(tmp_path, *search, "--trials=5").end()
    lines = [line for line in output.splitlines() if re.match(r"\[\d+:\d\d\] \d/", line)]
    assert [line.split()[1] for line in lines] == ["4/5", "5/5"]
