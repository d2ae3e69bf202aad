"""Kill the processes that compute a trial together: one of them, the first one, the driver.

The GPUs are simulated: ``CUDA_VISIBLE_DEVICES`` and Ray show two, and the processes use the CPU.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from harness import Run, small_cluster

ONE = "GRID = {'level': [0]}\n"
STEPS = 5
OPTIONS = ("--gpus-per-trial=2", f"--set=steps={STEPS}", "--set=seconds=0.6")
TWO_GPUS = {"CUDA_VISIBLE_DEVICES": "0,1"}
TOTAL = np.random.default_rng(0).normal(size=50_000)[1 : STEPS + 1].sum()


def wait_for_step(run: Run, at: int) -> tuple[int, int]:
    """Wait until both processes have begun a step; returns the pids of the first and the other."""
    run.wait_for(lambda: len(_pids(run, at)) >= 2)
    (first,) = {pid for _, pid in run.find("start")} & _pids(run, at)
    (other,) = _pids(run, at) - {first}
    return first, other


def _pids(run: Run, at: int) -> set[int]:
    return {pid for what, pid in run.find("step") if what.endswith(f"-{at}") and is_alive(pid)}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def assert_ended(pid: int) -> None:
    deadline = time.monotonic() + 20
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)


def test_killed_rank_and_killed_driver_lose_nothing(tmp_path: Path) -> None:
    options = ("--engine=local", *OPTIONS)
    run = Run(tmp_path, *options, space=ONE, environment=TWO_GPUS)
    driver, other = wait_for_step(run, 2)
    assert driver == run.process.pid
    os.kill(other, signal.SIGKILL)
    again, second = wait_for_step(run, 3)
    assert again == driver  # it ran the step again, with a new process
    folders = set(Path(tempfile.gettempdir()).glob("ranks-*"))
    os.kill(driver, signal.SIGKILL)
    run.process.wait()
    assert_ended(second)
    assert any(not folder.exists() for folder in folders)  # those of other tests may stay
    began = len(run.find("begin"))
    (log,) = (tmp_path / "out/fragile/s/logs").glob("*.log")
    assert "process 2 of 2 was killed by SIGKILL; the step runs again" in log.read_text()

    run = Run(tmp_path, "--engine=local", *OPTIONS[1:], space=ONE)  # in one process
    run.end()
    assert run.totals() == {(0, 0, 0): pytest.approx(TOTAL)}
    assert len(run.find("begin")) - began <= STEPS - 2  # two steps were saved


def test_worker_of_ray_with_two_gpus_and_its_rank_are_replaced(tmp_path: Path) -> None:
    with small_cluster(num_gpus=2) as address:
        run = Run(tmp_path, "--address", address, *OPTIONS, space=ONE)
        worker, other = wait_for_step(run, 1)
        os.kill(other, signal.SIGKILL)
        again, second = wait_for_step(run, 2)
        assert again == worker
        os.kill(worker, signal.SIGKILL)
        assert_ended(second)
        run.wait_for(lambda: len(_pids(run, 4)) == 2)  # the checkpoint continues in two others
        last = _pids(run, 4)
        run.end()
        for pid in last:
            assert_ended(pid)
    assert run.totals() == {(0, 0, 0): pytest.approx(TOTAL)}
