"""Control of a running sweep from other processes: ps, pause, resume, stop, cancel, attach."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from forked_commands import ForkedCommand
from harness import Run, command, engine_args, run_command, run_process
from json_documents import check_document

from orchestrator.running.queue import SweepQueue, queue_folder
from results.storage.reading import read_sweep

GRID = "GRID = {'level': list(range(12))}\n"
ENGINES = ("local", "ray")


def control(run: Run, *words: str, status: int = 0) -> Mapping[str, Any]:
    """Run a command on the sweep in this process; return its document."""
    name, *more = words
    done = run_command(name, "s", *more, "--out", run.out, "--json")
    assert done.returncode == status, done.stdout + done.stderr
    return check_document(done.stdout, name, status)


def state(run: Run) -> dict[str, Any]:
    (found,) = control(run, "ps")["sweeps"]
    return dict(found)


def num_steps(run: Run) -> int:
    return len(run.find("step"))


@pytest.mark.parametrize("engine", ENGINES)
def test_paused_sweep_computes_nothing_until_it_is_resumed(
    tmp_path: Path, cluster: str, engine: str
) -> None:
    run = Run(
        tmp_path, *engine_args(engine, cluster), "--set=steps=6", "--set=seconds=0.2", space=GRID
    )
    run.wait_for(lambda: num_steps(run) > 2)
    (answer,) = control(run, "pause")["answers"]
    assert answer["pid"] == run.process.pid
    assert answer["message"].startswith("pauses: ")
    run.wait_for(lambda: state(run)["state"] == "paused")
    assert " paused " in command("list", "--out", run.out)
    before = num_steps(run)
    held = [trial for trial in state(run)["running"] if not trial["is_waiting"]]
    saved = {path.stem for path in Path(run.out, ".checkpoints").glob("*.safetensors")}
    assert {trial["trial_id"] for trial in held} <= saved
    assert "was paused already" in command("pause", "s", "--out", run.out)
    time.sleep(1.5)  # seven steps of a sweep that is not paused
    assert num_steps(run) == before
    control(run, "resume")
    run.end()
    assert len(run.totals()) == 12
    assert num_steps(run) == 12 * 6  # no step twice


@pytest.mark.parametrize("engine", ENGINES)
def test_cancelled_trials_are_rows_and_run_only_on_request(
    tmp_path: Path, cluster: str, engine: str
) -> None:
    args = (*engine_args(engine, cluster), "--set=steps=12", "--set=seconds=0.2")
    run = Run(tmp_path, *args, space=GRID)
    run.wait_for(lambda: num_steps(run) > 2)
    control(run, "pause")
    run.wait_for(lambda: state(run)["state"] == "paused")
    running = [trial["trial_id"] for trial in state(run)["running"]]
    first, last = running[0], running[-1]
    (answer,) = control(run, "cancel", first[:10], "--reason", "too\nslow")["answers"]
    assert answer["done"]
    assert answer["trial_id"] == first
    control(run, "cancel", last)
    assert (
        "no unfinished trial starts with"
        in control(run, "cancel", first, status=2)["error"]["message"]
    )
    control(run, "resume")
    output = run.end()  # status 0: a cancelled trial has not failed
    assert "cancelled" in output
    rows = {row["trial_id"]: row for row in read_sweep(run.out, "fragile", "s").rows()}
    assert len(rows) == 12
    assert rows[first]["status"] == rows[last]["status"] == "cancelled"
    assert rows[first]["reason"] == "too slow"
    assert rows[last]["reason"].startswith("cancelled by ")
    assert rows[first]["num_steps"] < 12
    assert len(run.totals()) == 10
    before = num_steps(run)
    again = Run(tmp_path, *args, space=GRID)
    assert "2 trials cancelled; add --retry-cancelled" in again.end()
    assert num_steps(again) == before
    retried = Run(tmp_path, *args, "--retry-cancelled", space=GRID)
    retried.end()
    assert len(retried.totals()) == 12


@pytest.mark.parametrize("engine", ENGINES)
def test_stop_acts_as_ctrl_c(tmp_path: Path, cluster: str, engine: str) -> None:
    args = (*engine_args(engine, cluster), "--set=steps=4", "--set=seconds=0.2")
    run = Run(tmp_path, *args, space=GRID)
    run.wait_for(lambda: num_steps(run) > 2)
    control(run, "pause")  # a paused sweep can be stopped too
    control(run, "stop")
    run.end(status=130)
    assert "fragile/s is not running (partial" in command("pause", "s", "--out", run.out, status=2)
    again = Run(tmp_path, *args, space=GRID)
    again.end()
    assert len(again.totals()) == 12


def test_second_driver_says_who_runs_the_sweep(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=steps=3", "--set=seconds=0.3")
    run = Run(tmp_path, *args, space=GRID)
    run.wait_for(lambda: num_steps(run) > 2)
    second = Run(tmp_path, *args, space=GRID)
    _, errors = second.process.communicate(timeout=120)
    assert second.process.returncode == 0, errors
    line = " ".join(errors.split())
    assert f"fragile/s is running already (pid {run.process.pid} on {os.uname().nodename} " in line
    run.end()
    assert len(run.totals()) == 12


def test_attach_prints_progress_until_the_sweep_ends(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=steps=3", "--set=seconds=0.3")
    run = Run(tmp_path, *args, space=GRID)
    run.wait_for(lambda: num_steps(run) > 2)
    attached = ForkedCommand("attach", "s", "--out", run.out)
    plain = ForkedCommand("attach", "s", "--out", run.out, "--json")
    run.end()
    output, _ = attached.communicate(timeout=30)
    lines = output.splitlines()
    assert lines[0].startswith("fragile/s running: ")
    assert lines[-1] == "fragile/s ended: 12/12 trials finished"
    document = json.loads(plain.communicate(timeout=30)[0])
    assert document["sweep"]["trials_by_status"] == {"finished": 12}


def test_killed_driver_is_not_listed(tmp_path: Path) -> None:
    run = Run(tmp_path, "--engine=local", "--set=seconds=0.3", space=GRID)
    run.wait_for(lambda: num_steps(run) > 2)
    assert state(run)["pid"] == run.process.pid
    run.process.kill()
    run.process.wait()
    assert "is running" in command("ps", "--out", run.out)
    assert json.loads(run_command("ps", "--out", run.out, "--json").stdout)["sweeps"] == []
    again = Run(tmp_path, "--engine=local", "--set=seconds=0.3", space=GRID)
    again.end()
    assert len(list(Path(run.out, "fragile", "s", "control").iterdir())) == 1


# --- in the background ----------------------------------------------------------------------------


def test_background_sweep_goes_on_without_its_terminal(tmp_path: Path) -> None:
    words = ("sweep", "toy", "--engine", "local", "--out", str(tmp_path))
    done = run_process(*words, "--background", "--json")
    assert done.returncode == 0, done.stderr
    started = check_document(done.stdout, "sweep", 0)["background"]
    assert started["sweep"] == "toy/paper"
    assert started["pid"] != os.getpid()
    attached = run_process("attach", "paper", "--out", tmp_path)
    ended = "toy/paper ended: 4/4 trials finished"
    assert ended in attached.stdout or "toy/paper is not running" in attached.stderr
    wait_for(lambda: "Results: " in Path(started["log"]).read_text())
    assert len(read_sweep(str(tmp_path), "toy", "paper").rows()) == 4
    assert "--background" not in read_sweep(str(tmp_path), "toy", "paper").manifest.command


def test_background_sweep_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    words = ("sweep", "toy", "--engine", "local", "--out", str(tmp_path), "--background")
    assert "`lr > 0` must hold" in run_process(*words, "--set", "lr=-1").stderr
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "paper").write_text("a file where the sweep's folder must be")
    done = run_process(*words)
    assert done.returncode == 2
    assert done.stdout == ""


def test_queue_runs_sweeps_in_order_and_keeps_those_that_fail(tmp_path: Path) -> None:
    words = ("sweep", "toy", "--engine", "local", "--out", str(tmp_path / "runs"))

    def ask(*words: str) -> Mapping[str, Any]:
        done = run_process(*words, "--json", XDG_STATE_HOME=str(tmp_path / "state"))
        assert done.returncode == 0, done.stdout + done.stderr
        return check_document(done.stdout, words[0], 0)

    first = ask(*words, "--name", "first", "--queue")["queued"]
    assert first["sweeps"] == ["toy/first"]
    failing = ask(*words, "--name", "failing", "--set", "lr=1e300", "--queue")["queued"]
    last = ask(*words, "--name", "last", "--set", "epochs=2", "--queue")["queued"]
    assert first["id"] < failing["id"] < last["id"]
    wait_for(lambda: [each["state"] for each in ask("queue")["queue"]] == ["failed"])
    started = {
        name: read_sweep(str(tmp_path / "runs"), "toy", name).manifest.started
        for name in ("first", "failing", "last")
    }
    assert started["first"] < started["failing"] < started["last"]
    (left,) = ask("queue")["queue"]
    assert (left["id"], left["exit_code"]) == (failing["id"], 1)
    assert "the error is not finite" in Path(left["log"]).read_text()
    assert ask("queue", "--remove", left["id"])["queue"] == []
    assert not Path(left["log"]).exists()


def test_queue_that_was_killed_waits_for_its_sweep_and_runs_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "orchestrator"
    script.write_text("#!/bin/sh\necho >> starts\nwhile [ ! -e go ]; do sleep 0.1; done\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    queue, starts = SweepQueue(queue_folder()), tmp_path / "starts"
    with monkeypatch.context() as patch:
        patch.setattr("sys.argv", [str(script), "sweep", "toy", "--queue"])
        queue.add(["sweep", "toy"], ["toy/s"])
    environment = {"XDG_STATE_HOME": str(tmp_path / "state")}
    killed = ForkedCommand("queue", "--run", environment=environment)
    wait_for(lambda: starts.exists() and queue.entries()[0].state == "running")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert [entry.state for entry in queue.entries()] == ["running"]
    again = ForkedCommand("queue", "--run", environment=environment)
    wait_for(queue.is_run)
    assert starts.read_text() == "\n"
    (tmp_path / "go").touch()
    out, err = again.communicate()
    assert "toy/s still runs (pid " in out, err
    assert starts.read_text() == "\n\n"
    assert queue.entries() == []


def test_queue_runs_a_sweep_with_the_program_that_added_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "bin" / "orchestrator"
    script.parent.mkdir()
    script.write_text('#!/bin/sh\necho "$@" > arguments\n')
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with monkeypatch.context() as patch:
        patch.setattr("sys.argv", ["bin/orchestrator", "sweep", "toy", "--queue"])
        SweepQueue(queue_folder()).add(["sweep", "toy"], ["toy/s"])
    done = run_process("queue", "--run", XDG_STATE_HOME=str(tmp_path / "state"))
    assert "toy/s ended with exit code 0" in done.stdout, done.stderr
    assert (tmp_path / "arguments").read_text() == "sweep toy\n"


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
