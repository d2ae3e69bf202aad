"""The process of a tracker: it ends with its sweep, and its end does not fail the sweep."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Run
from paths import PLUGIN
from tracked import REPORT, end, running, steps, sweep, tracked_trial

from orchestrator.tracking.process_runs import ProcessRuns
from orchestrator.tracking.runs import TrackerFailedError, Update
from orchestrator.tracking.samples import EndedTrial


@pytest.fixture
def tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Return a function that returns the notes of the tracker ``noting``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(PLUGIN))
    file = tmp_path / "tracked"
    return lambda: file.read_text().splitlines() if file.exists() else []


def update(*numbers: int, has_ended: bool = False) -> Update:
    ended = EndedTrial.of(end(running()), ()) if has_ended else None
    return Update(trial=tracked_trial(), steps=steps(*numbers), ended=ended)


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_process_sends_and_exits_as_usual(tracker: Callable[[], list[str]]) -> None:
    runs = ProcessRuns("noting", print)
    assert runs.open(sweep()) == "here"
    pid = int(tracker()[0].split()[1])
    assert pid != os.getpid()
    for number in (signal.SIGTERM, signal.SIGINT):  # batch systems send them to all processes
        os.kill(pid, number)
    assert runs.send([update(0, 1)]).number == 1
    assert runs.send([update(0, 1, 2, has_ended=True)]).problem is None
    runs.close(REPORT)
    assert tracker()[1:] == ["log 0 1", "log 2", "close Rows", "exit"]
    assert not is_alive(pid)


def test_process_imports_what_this_one_does(tracker: Callable[[], list[str]]) -> None:
    Path("results.py").write_text("raise ImportError('not ours')\n")  # in the working directory
    runs = ProcessRuns("noting", print)
    runs.open(sweep())
    runs.close(REPORT)
    assert tracker()[1:] == ["close Rows", "exit"]


def test_error_arrives_with_its_traceback(tracker: Callable[[], list[str]]) -> None:
    Path("fail").touch()
    runs = ProcessRuns("noting", print)
    runs.open(sweep())
    sent = runs.send([update(0), update(1)])
    assert sent.number == 1
    assert sent.problem is not None
    assert sent.problem.line == "OSError: no server"
    assert "in log\n" in sent.problem.details
    Path("fail").unlink()
    assert runs.send([update(0), update(1)]).number == 2
    runs.kill()
    assert tracker()[1:] == ["log 0", "log 1"]


def test_what_it_prints_is_logged_once(tracker: Callable[[], list[str]]) -> None:
    texts: list[str] = []
    runs = ProcessRuns("noting", texts.append)
    runs.open(sweep())
    barrier, errors = threading.Barrier(8), list[BaseException]()

    def kill() -> None:
        barrier.wait()
        try:
            runs.kill()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=kill) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert texts == ["--track noting printed:\nopening"]


def test_process_that_dies_says_how(tracker: Callable[[], list[str]]) -> None:
    runs = ProcessRuns("noting", print)
    runs.open(sweep())
    os.kill(int(tracker()[0].split()[1]), signal.SIGKILL)
    with pytest.raises(TrackerFailedError, match="its process was killed by SIGKILL") as caught:
        runs.send([update(0)])
    assert caught.value.problem.is_final


def track(folder: Path) -> Run:
    """Start a sweep of four trials with the tracker, and wait until that is open."""
    space = "GRID = {'level': list(range(4))}\n"
    options = ("--engine=local", "--track=noting", "--set=steps=3", "--set=seconds=0.3")
    run = Run(folder, *options, space=space, cwd=folder)
    run.wait_for(lambda: "Tracking with noting" in run.process.printed())
    return run


def pid_of(notes: list[str]) -> int:
    return int(notes[0].split()[1])


def test_sweep_goes_on_without_a_tracker_that_dies(
    tmp_path: Path, tracker: Callable[[], list[str]]
) -> None:
    (tmp_path / "hang").touch()
    run = track(tmp_path)
    os.kill(pid_of(tracker()), signal.SIGKILL)
    output = " ".join(run.end().split())
    assert output.count("--track noting failed (its process was killed by SIGKILL)") == 1
    assert "--track noting misses the end of 4 trials" in output
    assert len(run.totals()) == 4


def test_tracker_ends_with_a_killed_sweep(tmp_path: Path, tracker: Callable[[], list[str]]) -> None:
    (tmp_path / "hang").touch()
    run = track(tmp_path)
    run.wait_for(lambda: len(run.find("step")) > 4)
    run.process.kill()
    wait_until(lambda: not is_alive(pid_of(tracker())))


def test_ctrl_c_ends_a_tracker_that_hangs(tmp_path: Path, tracker: Callable[[], list[str]]) -> None:
    (tmp_path / "hang").touch()
    run = track(tmp_path)
    run.wait_for(lambda: "Waiting for noting" in run.process.printed())
    run.process.send_signal(signal.SIGINT)
    output = " ".join(run.end(status=run.process.wait(60)).split())
    assert "Trackers may miss the end of some trials; the results are complete" in output
    assert not is_alive(pid_of(tracker()))
    assert len(run.totals()) == 4
