"""The view of a sweep that another process runs: what it shows, and the commands of its keys."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pyarrow.fs
import pytest
from rich.console import Console

from orchestrator.control.commands import read_commands
from orchestrator.control.drivers import Driver, Progress, RunningTrial, new_driver, write_driver
from orchestrator.control.request import RunningSweep
from orchestrator.view.attached import AttachedView, driver_table, trial_table, watch

DISK = pyarrow.fs.LocalFileSystem()
TRIALS = tuple(
    RunningTrial(
        trial_id=f"{n:016x}",
        parameters=f"lr={n}",
        step=f"epoch {n}/9" if n < 3 else "",
        metrics="0.5" if n < 3 else "",
        value=0.5 - n / 10 if n < 3 else None,
        curve=((1, 0.9), (2, 0.3)) if n == 2 else (),
        is_waiting=n >= 3,
    )
    for n in range(5)
)


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    progress = Progress(
        counts={"finished": 2, "stopped": 1},
        total=9,
        share=0.3,
        left="about 1:00 left",
        metric="error",
        maximize=False,
        step_unit="epoch",
        best="error 0.1  lr=3",
        running=TRIALS,
    )
    made = dataclasses.replace(new_driver("toy/s", "local", "a/logs/x.log"), progress=progress)
    write_driver(DISK, str(tmp_path), made)
    return made


def sweep(folder: Path, driver: Driver) -> RunningSweep:
    return RunningSweep(filesystem=DISK, path=str(folder), full_name="toy/s", drivers=[driver])


def shown(view: object, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(view)
    return [line.rstrip() for line in captured.get().splitlines()]


def make_view(folder: Path, driver: Driver) -> AttachedView:
    console = Console(file=io.StringIO(), width=100, height=24)
    return AttachedView(sweep(folder, driver), driver, console)


def test_shows_progress_and_trials(tmp_path: Path, driver: Driver) -> None:
    text = "\n".join(shown(make_view(tmp_path, driver)))
    assert "toy/s is running: pid" in text
    assert "2/9 trials finished, 1 pruned" in text
    assert "best so far: error 0.1  lr=3" in text
    assert "2 trials waiting to start" in text
    assert "? help" in text


def test_keys_send_commands(tmp_path: Path, driver: Driver) -> None:
    view = make_view(tmp_path, driver)

    def press(*keys: str) -> None:
        for key in keys:
            view.browser.on_key(key, view._listed())

    press("down", "s")
    assert "sorted by metric" in "\n".join(shown(view))
    press("home")  # the lowest error
    assert any(line.startswith("00000000  epoch 2/9") for line in shown(view))
    press("x", "y", "p")
    view.driver = dataclasses.replace(driver, state="paused")
    press("p", "enter")
    assert any("⠤" in line or "⠒" in line for line in shown(view))
    assert any(line.strip() == "epoch" for line in shown(view))
    press("down")
    assert "no step has been measured" in shown(view)
    press("up")
    sent = read_commands(DISK, str(tmp_path), driver)
    assert [command.action for command in sent] == ["cancel", "pause", "resume"]
    assert sent[0].trial == TRIALS[2].trial_id
    assert sent[0].reason.startswith("cancelled by ")
    press("d")
    view.watch(lambda: None)  # returns at once, although the sweep continues


def test_log_is_that_of_the_run(tmp_path: Path, driver: Driver) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "x.log").write_text("one\n\x1b[2Jtwo\n")
    view = make_view(tmp_path, driver)
    for key in ("down", "l"):
        view.browser.on_key(key, view._listed())
    assert shown(view)[-3:-1] == ["one", " [2Jtwo"]


def test_help_says_how_to_leave(tmp_path: Path, driver: Driver) -> None:
    view = make_view(tmp_path, driver)
    view.browser.on_key("?", view._listed())
    text = " ".join(" ".join(shown(view)).split())
    assert "d, Ctrl-C stop watching; the sweep continues" in text
    assert "stop the sweep" not in text


def test_ctrl_c_leaves(tmp_path: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: AttachedView, refresh: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(AttachedView, "watch", interrupt)
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    assert watch(sweep(tmp_path, driver), driver, console) == driver
    assert isinstance(console.file, io.StringIO)
    assert "toy/s running: 2/9 trials finished, 1 pruned\n" in console.file.getvalue()


def test_without_a_terminal_lines_are_printed(tmp_path: Path, driver: Driver) -> None:
    ended = dataclasses.replace(driver, state="ended")
    console = Console(file=io.StringIO(), width=40)
    assert watch(sweep(tmp_path, ended), ended, console) == ended
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "toy/s ended: 2/9 trials finished, 1 pruned\n"


def test_tables_of_ps(driver: Driver) -> None:
    heading, row = shown(driver_table([driver]), 80)
    words = ["sweep", "state", "trials", "left", "engine", "pid", "machine", "since"]
    assert heading.split() == words
    assert row.startswith(f"toy/s  running  2/9, 1 pruned  1:00  local   {driver.pid}  ")
    assert shown(trial_table(TRIALS))[1].split() == ["00000000", "epoch", "0/9", "0.5", "lr=0"]
    many = [dataclasses.replace(TRIALS[0], trial_id=str(n)) for n in range(40)]
    assert shown(trial_table(many))[-1] == "and 28 more"
    assert shown(trial_table(TRIALS[3:])) == ["2 trials waiting to start"]
