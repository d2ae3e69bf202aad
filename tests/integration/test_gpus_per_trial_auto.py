"""``--gpus-per-trial auto`` on a real Ray: the measured memory decides the number of workers.

The GPU is simulated: Ray gets ``num_gpus=1``, and a script in place of ``nvidia-smi`` prints its
memory.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Run, small_cluster
from weights_of_runs import totals_of

from results.storage.reading import read_sweep

GIB = 2**30
ALONE = "GRID = {'stage': list(range(4))}\n"  # four packs, since packs share a stage


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("bin")
    output = folder / "nvidia-smi"
    output.write_text("#!/bin/sh\necho 4096\n")
    output.chmod(0o755)
    with small_cluster(PATH=f"{folder}{os.pathsep}{os.environ['PATH']}") as address:
        yield address


def workers_of(output: str) -> tuple[int, float]:
    """The number of workers and the GPU share of each, from the output of a sweep."""
    found = re.search(
        r"peak memory ([\d.]+) of 4\.3 GB per trial: using (\d+) workers? with .* and ([\d.]+) GPU",
        output,
    )
    assert found, output
    return int(found[2]), float(found[3])


def test_measured_memory_decides_the_number_of_workers(tmp_path: Path, cluster: str) -> None:
    args = ("--address", cluster, "--gpus-per-trial=auto", "--set=seconds=0.6", "--set=steps=3")
    run = Run(tmp_path, *args, f"--set=used={int(1.2 * GIB)}", space=ALONE)
    assert workers_of(run.end()) == (2, 0.5)
    assert len(run.totals()) == 4
    steps = Counter(what for what, _ in run.find("step"))
    assert len(steps) == 4 * 3
    assert set(steps.values()) == {1}  # the measured step too
    pids = {pid for _, pid in run.find("step")}
    assert len(pids) == 3  # two workers, and the process that measured


def test_trial_that_fills_the_gpu_runs_alone(tmp_path: Path, cluster: str) -> None:
    args = ("--address", cluster, "--gpus-per-trial=auto", "--set=steps=2")
    run = Run(tmp_path, *args, f"--set=used={int(2.5 * GIB)}", space=ALONE)
    assert workers_of(run.end()) == (1, 1.0)
    assert len(run.totals()) == 4


def test_measured_pack_stays_together_and_keeps_its_weights(tmp_path: Path, cluster: str) -> None:
    options = ("--address", cluster, "--gpus-per-trial=auto", "--set=steps=1", "--keep=all")
    run = Run(tmp_path, *options, space="GRID = {'level': list(range(6))}\n")
    assert workers_of(run.end()) == (1, 1.0)
    assert len({pid for _, pid in run.find("step")}) == 2
    assert len(totals_of(run)) == 6


def test_trial_that_fails_while_measured_is_a_row(tmp_path: Path, cluster: str) -> None:
    args = ("--address", cluster, "--gpus-per-trial=auto", "--set=fail=nan", "--set=steps=1")
    run = Run(tmp_path, *args, space="GRID = {'level': [1, 0, 2, 3]}\n")
    run.end(status=1)
    assert len(run.totals()) == 3
    steps = Counter(what for what, _ in run.find("step"))
    assert set(steps.values()) == {1}


def test_worker_that_dies_while_measured_is_replaced(tmp_path: Path, cluster: str) -> None:
    args = ("--address", cluster, "--gpus-per-trial=auto", "--set=seconds=2", "--set=steps=2")
    run = Run(tmp_path, *args, space="GRID = {'stage': [0, 1]}\n")
    run.wait_for(lambda: bool(run.find("begin")))
    os.kill(run.find("begin")[0][1], signal.SIGKILL)
    run.end()
    assert len(run.totals()) == 2


def test_search_is_measured(tmp_path: Path, cluster: str) -> None:
    args = ("--address", cluster, "--gpus-per-trial=auto", "--space", "search", "--trials=6")
    run = Run(tmp_path, *args, f"--set=used={GIB}", "--set=steps=2")
    assert workers_of(run.end())[0] == 2
    rows = read_sweep(run.out, "fragile", "s").rows()
    assert len(rows) == 6
    assert {row["status"] for row in rows} <= {"finished", "stopped"}


def test_trial_out_of_memory_beside_others_runs_alone(tmp_path: Path, cluster: str) -> None:
    args = ("--gpus-per-trial=0.5", "--set=fail=crowd", "--set=seconds=0.4")
    run = Run(tmp_path, "--address", cluster, *args)
    run.end()
    assert len(run.totals()) == 12
    steps = Counter(what for what, _ in run.find("step"))
    assert sum(steps.values()) == 12 * 3 + 2  # one trial of each stage repeated its second step
