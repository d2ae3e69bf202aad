"""Trackers of other packages, through ``sweep --track``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from documented import code_blocks
from harness import run_command
from paths import ROOT
from tracked import install_tracker

from orchestrator.tracking.finding import tracker_names
from results.storage.reading import read_sweep

SWEEP = ("sweep", "toy", "--engine", "local", "--name", "s")

RECORDING = """
from pathlib import Path
from orchestrator.tracking.tracker import Tracker

class Mine(Tracker):
    def open(self, sweep):
        self.file = Path(sweep.folder) / "recorded.txt"
        return str(self.file)
    def note(self, *words):
        with self.file.open("a") as file:
            print(*words, file=file)
    def start(self, trial):
        self.note("start", trial.id, trial.parameters["degree"])
        return ()
    def log(self, trial, steps):
        for step in steps:
            self.note("step", trial.id, step.at, step.metrics["error"])
    def end(self, trial, result):
        self.note("end", trial.id, result.status)
    def close(self, report):
        self.note("report", report.markdown.splitlines()[0])
"""


def test_tracker_of_another_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    install_tracker(monkeypatch, tmp_path, "recording", RECORDING)
    assert tracker_names()[-1] == "recording"
    out = tmp_path / "out"
    done = run_command(*SWEEP, "--track", "recording", "--out", out)
    assert done.returncode == 0, done.stderr
    printed = capfd.readouterr().out + done.stdout
    assert f"Tracking with recording: {out}/toy/s/recorded.txt\n" in printed
    found = (out / "toy/s/recorded.txt").read_text().splitlines()
    rows = {row["trial_id"]: row for row in read_sweep(str(out), "toy", "s").rows()}
    for trial_id, row in rows.items():
        own = [line.split() for line in found if trial_id in line]
        assert own[0] == ["start", trial_id, str(row["param.degree"])]
        assert [int(words[2]) for words in own[1:-1]] == list(range(1, 21))
        assert float(own[-2][3]) == row["metric.error"]
        assert own[-1] == ["end", trial_id, "finished"]
    assert found[-1] == "report ### Degrees of the polynomial"
    again = run_command(*SWEEP, "--track", "recording", "--out", out)
    assert "No trial ran, so no tracker got anything" in again.stdout
    assert (out / "toy/s/recorded.txt").read_text().splitlines() == found


def test_only_trackers_that_a_search_sends_to_are_missed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed")
    install_tracker(monkeypatch, tmp_path, "recording", RECORDING, package="recording_searches")
    space = tmp_path / "space.py"
    space.write_text(
        "def search(trial):\n    return {'degree': trial.suggest_int('degree', 0, 3)}\n"
    )
    command = (*SWEEP, "--space", space, "--trials", "1", "--out", tmp_path / "out", "--track")
    assert run_command(*command, "optuna").returncode == 0
    again = run_command(*command, "optuna")  # a search writes its journal itself
    assert again.returncode == 0, again.stderr
    assert "no tracker" not in again.stdout
    assert "No trial ran, so no tracker got anything" in run_command(*command, "recording").stdout


def test_the_tracker_of_the_guide_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (code,) = code_blocks(ROOT / "docs/how-to/track.md", "python")
    install_tracker(monkeypatch, tmp_path, "guide", code.replace("MyTracker", "Mine"))
    done = run_command(*SWEEP, "--track", "guide", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "s.txt").read_text().splitlines()
    for row in read_sweep(str(tmp_path / "out"), "toy", "s").rows():
        own = [line for line in lines if row["trial_id"] in line]
        assert len(own) == 1 + row["num_steps"] + 1
        assert own[-1].endswith("finished")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import nothing_at_all", "cannot be loaded: ModuleNotFoundError"),
        ("class Mine: pass", "must be a subclass of .*Tracker, but gave Mine"),
        ("class Mine:\n    def __init__(self, x): pass", "cannot be loaded: TypeError"),
    ],
)
def test_broken_tracker_is_refused_before_the_sweep(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, message: str
) -> None:
    name = "broken" + str(abs(hash(code)))
    install_tracker(monkeypatch, tmp_path, name, code)
    done = run_command(*SWEEP, "--track", name, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert re.search(message, done.stderr), done.stderr
    assert not (tmp_path / "out").exists()


FAILING = """
from orchestrator.tracking.tracker import Tracker

class Mine(Tracker):
    def open(self, sweep):
        return "nowhere"
    def start(self, trial):
        raise ConnectionError("the server is down")
"""


def test_failing_tracker_costs_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    install_tracker(monkeypatch, tmp_path, "failing", FAILING)
    done = run_command(*SWEEP, "--track", "failing", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    printed = " ".join((capfd.readouterr().out + done.stdout + done.stderr).split())
    assert printed.count("--track failing failed (ConnectionError: the server is down)") == 1
    assert "misses the end of 4 trials" in printed
    rows = read_sweep(str(tmp_path / "out"), "toy", "s").rows()
    assert [row["status"] for row in rows] == ["finished"] * 4
