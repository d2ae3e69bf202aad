"""``--gpus-per-trial auto``: slots cut to what a trial was measured to use, on a real Ray.

The machine's GPU is a made-up one: Ray is told that there is one, and a script in the place of
``nvidia-smi`` says how much memory it has.
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
ALONE = "GRID = {'stage': list(range(6))}\n"  # six packs, since packs share a stage


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("bin")
    told = folder / "nvidia-smi"
    told.write_text("#!/bin/sh\necho 4096\n")
    told.chmod(0o755)
    with small_cluster(PATH=f"{folder}{os.pathsep}{os.environ['PATH']}") as address:
        yield address


def slots(told: str) -> tuple[int, float]:
    """(slots, GPU of each) as the sweep says them."""
    found = re.search(
        r"peak memory ([\d.]+) of 4\.3 GB per trial: using (\d+) workers? with .* and ([\d.]+) GPU",
        told,
    )
    assert found, told
    return int(found[2]), float(found[3])


def test_slots_are_as_many_as_memory_admits(tmp_path: Path, cluster: str) -> None:
    args = ("--address", cluster, "--gpus-per-trial=auto", "--set=seconds=0.6", "--set=steps=3")
    one = Run(tmp_path, *args, f"--set=used={int(1.2 * GIB)}", space=ALONE)
    assert slots(one.end()) == (2, 0.5)
    assert len(one.totals()) == 6
    steps = Counter(what for what, _ in one.find("step"))
    assert len(steps) == 6 * 3
    assert set(steps.values()) == {1}  # the measured step too
    assert len({pid for _, pid in one.find("step")}) == 3  # it was measured in a process of its own


def test_a_trial_that_fills_the_gpu_has_it_alone(tmp_path: Path, cluster: str) -> None:
    args = ("--address", cluster, "--gpus-per-trial=auto", "--set=steps=2")
    one = Run(tmp_path, *args, f"--set=used={int(2.5 * GIB)}", space=ALONE)
    assert slots(one.end()) == (1, 1.0)
    assert len(one.totals()) == 6


def test_trials_of_one_pack_stay_together(tmp_path: Path, cluster: str) -> None:
    space = "GRID = {'level': list(range(8))}\n"
    one = Run(tmp_path, "--address", cluster, "--gpus-per-trial=auto", space=space)
    assert slots(one.end()) == (1, 1.0)
    assert len({pid for _, pid in one.find("step")}) == 2


def test_what_breaks_while_it_is_measured_is_a_row(tmp_path: Path, cluster: str) -> None:
    args = ("--address", cluster, "--gpus-per-trial=auto", "--set=fail=nan", "--set=steps=1")
    one = Run(tmp_path, *args, space="GRID = {'level': [1, 0, 2, 3]}\n")
    one.end(status=1)
    assert len(one.totals()) == 3
    steps = Counter(what for what, _ in one.find("step"))
    assert set(steps.values()) == {1}


def test_a_worker_that_dies_while_it_is_measured(tmp_path: Path, cluster: str) -> None:
    args = ("--address", cluster, "--gpus-per-trial=auto", "--set=seconds=2", "--set=steps=2")
    one = Run(tmp_path, *args, space="GRID = {'stage': [0, 1]}\n")
    one.wait_for(lambda: bool(one.find("begin")))
    os.kill(one.find("begin")[0][1], signal.SIGKILL)
    one.end()
    assert len(one.totals()) == 2


def test_a_search_is_measured_too(tmp_path: Path, cluster: str) -> None:
    args = ("--address", cluster, "--gpus-per-trial=auto", "--space", "search", "--trials=6")
    one = Run(tmp_path, *args, f"--set=used={GIB}", "--set=steps=2")
    assert slots(one.end())[0] == 2
    rows = read_sweep(one.out, "fragile", "s").rows()
    assert len(rows) == 6
    assert {row["status"] for row in rows} <= {"finished", "stopped"}


def test_who_runs_out_of_memory_beside_others_is_tried_alone(tmp_path: Path, cluster: str) -> None:
    args = ("--gpus-per-trial=0.5", "--set=fail=crowd", "--set=seconds=0.4")
    one = Run(tmp_path, "--address", cluster, *args)
    one.end()
    assert len(one.totals()) == 12
    steps = Counter(what for what, _ in one.find("step"))
    assert sum(steps.values()) == 12 * 3 + 2  # one of each stage came to its second step twice


def test_a_trial_that_is_measured_keeps_its_weights_too(tmp_path: Path, cluster: str) -> None:
    options = ("--address", cluster, "--gpus-per-trial=auto", "--set=steps=1", "--keep=all")
    one = Run(tmp_path, *options, space="GRID = {'level': list(range(6))}\n")
    one.end()
    assert len(totals_of(one)) == 6
