"""Ctrl-C in a program that calls ``orc.sweep``: it ends, can be continued, and has its handlers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import orchestrator as orc

SCRIPT = """
import os, signal, sys, time
from pathlib import Path
import orchestrator as orc

@orc.task(metric="error", maximize=False)
def fit(lr: float = 0.1, epochs: int = 20, *, seed: int):
    state = orc.checkpoint({"epoch": 0})
    while state["epoch"] < epochs:
        Path(os.environ["NOTES"], f"{state['epoch']}-{time.monotonic_ns()}").touch()
        time.sleep(float(os.environ["SECONDS"]))
        state["epoch"] += 1
        yield {"error": lr / state["epoch"]}

if __name__ == "__main__":
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    try:
        sweep = orc.sweep(fit, {"lr": [0.1]}, engine=sys.argv[1], out="runs")
    except KeyboardInterrupt as error:
        assert handlers == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
        print("interrupted:", error)
        sys.exit(7)
    print(sweep.trials.to_pylist()[0]["num_steps"], sweep.trials.to_pylist()[0]["status"])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "notes").mkdir()
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


def start(folder: Path, seconds: float, engine: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "script.py", engine],
        cwd=folder,
        env={**os.environ, "NOTES": str(folder / "notes"), "SECONDS": str(seconds)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def notes(folder: Path) -> list[int]:
    return sorted(int(path.name.partition("-")[0]) for path in (folder / "notes").iterdir())


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_an_interrupted_call_goes_on_where_it_was(folder: Path, engine: str) -> None:
    process = start(folder, 0.3, engine)
    deadline = time.monotonic() + 120
    while len(notes(folder)) < 3:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 7, output
    assert "Traceback" not in output
    assert "Stopping after the current step of 1 trial" in output
    assert "interrupted: the sweep was interrupted; call it again to resume" in output
    (row,) = orc.load(folder / "runs/fit/grid-lr").trials.to_pylist()
    assert row["status"] == "interrupted"
    done = row["num_steps"]
    assert 1 <= done < 20

    again = start(folder, 0.0, engine)
    output = again.communicate(timeout=120)[0]
    assert again.returncode == 0, output
    assert output.splitlines()[-1] == "20 finished"
    # No step was lost, and none was computed twice.
    assert notes(folder) == list(range(20))


def test_ray_runs_in_another_thread(folder: Path) -> None:
    """Only the main thread may set signal handlers."""
    lines = SCRIPT.replace(
        'sweep = orc.sweep(fit, {"lr": [0.1]}, engine=sys.argv[1], out="runs")',
        "from concurrent.futures import ThreadPoolExecutor\n"
        '        call = lambda: orc.sweep(fit, {"lr": [0.1]}, engine=sys.argv[1], out="runs")\n'
        "        sweep = ThreadPoolExecutor(1).submit(call).result()",
    )
    (folder / "script.py").write_text(lines)
    process = start(folder, 0.0, "ray")
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    assert output.splitlines()[-1] == "20 finished"
