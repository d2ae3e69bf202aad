"""Trials that hang, run out of memory or lose their workers, and sweeps that are told to end."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas
import pytest
from harness import Run, small_cluster
from paths import PYTHONPATH

from results.storage.reading import read_sweep

SIX = "GRID = {'level': list(range(6))}\n"


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with small_cluster() as address:
        yield address


def engine_args(engine: str, cluster: str) -> tuple[str, ...]:
    return ("--engine", "local") if engine == "local" else ("--address", cluster)


def rows_of(run: Run) -> dict[int, dict[str, Any]]:
    rows = read_sweep(run.out, "fragile", "s").rows()
    return {row["param.level"]: row for row in rows}


def assert_only_one_failed(run: Run) -> dict[str, Any]:
    rows = rows_of(run)
    assert {level: row["status"] for level, row in rows.items()} == {
        level: "failed" if level == 1 else "finished" for level in range(6)
    }
    return rows[1]


# --- trials that hang -----------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_trial_that_hangs_is_a_row_that_shows_where(
    tmp_path: Path, cluster: str, engine: str
) -> None:
    where = engine_args(engine, cluster)
    one = Run(tmp_path, *where, "--set=fail=hang", "--deadline=1s", space=SIX)
    told = one.end(status=1)
    assert "a step took longer than 1 s (--step-timeout)" in told
    assert "time.sleep(1000)" in assert_only_one_failed(one)["log"]


def test_a_worker_that_cannot_be_interrupted_is_killed(tmp_path: Path, cluster: str) -> None:
    one = Run(tmp_path, "--address", cluster, "--set=fail=stuck", "--deadline=1s", space=SIX)
    one.end(status=1)
    assert "a step took longer than 1 s (--step-timeout)" in assert_only_one_failed(one)["reason"]


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_stage_that_hangs_fails_those_that_need_it(
    tmp_path: Path, cluster: str, engine: str
) -> None:
    where = engine_args(engine, cluster)
    one = Run(tmp_path, *where, "--set=stage_seconds=100", "--deadline=1s", space=SIX)
    one.end(status=1)
    reasons = {row["reason"] for row in rows_of(one).values()}
    assert len(reasons) == 1
    assert reasons.pop().startswith("the shared stage prepare(")


def test_a_quick_enough_trial_knows_no_deadline(tmp_path: Path) -> None:
    one = Run(tmp_path, "--engine=local", "--set=seconds=0.2", "--deadline=10s", space=SIX)
    one.end()
    assert len(one.totals()) == 6


# --- memory and workers ---------------------------------------------------------------------------


def test_an_allocation_past_the_limit_fails_its_trial_alone(tmp_path: Path) -> None:
    one = Run(tmp_path, "--engine=local", "--set=fail=balloon", "--set=seconds=0.5", space=SIX)
    one.wait_for(lambda: bool(one.find("begin")))
    pages = int(Path(f"/proc/{one.process.pid}/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 2 * 2**30
    resource.prlimit(one.process.pid, resource.RLIMIT_AS, (most, most))
    one.end(status=1)
    assert "Unable to allocate" in assert_only_one_failed(one)["reason"]


def test_a_worker_that_rays_memory_monitor_kills_takes_no_other_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray._private.utils import get_system_memory, get_used_memory
    from ray.cluster_utils import Cluster

    most = (get_used_memory() + 4 * 2**30) / get_system_memory()
    if most > 0.95:
        pytest.skip("this machine has less than 4 GiB to spare")
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{most:.4f}")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        one = Run(tmp_path, "--address", made.address, "--set=fail=balloon", space=SIX)
        one.end(status=1, seconds=200)
    finally:
        made.shutdown()
    assert "the node ran out of memory" in assert_only_one_failed(one)["reason"]


def test_a_dead_workers_last_words_are_in_its_row(tmp_path: Path, cluster: str) -> None:
    one = Run(tmp_path, "--address", cluster, "--set=fail=exit", space=SIX)
    one.end(status=1)
    row = assert_only_one_failed(one)
    assert "its worker died 4 times" in row["reason"]
    assert "these were its last words" in row["log"]


def test_workers_lost_by_chance_do_not_add_up(tmp_path: Path, cluster: str) -> None:
    args = ("--address", cluster, "--set=seconds=0.3", "--set=steps=16", "--set=level=0")
    one = Run(tmp_path, *args, space="GRID = {'stage': [0]}\n")
    for number in range(1, 6):  # more often than a pack may lose its worker without progress
        one.wait_for(lambda number=number: len(one.find("step")) >= 2 * number)  # type: ignore[misc]
        os.kill(one.find("step")[-1][1], signal.SIGKILL)
    one.end()
    assert len(one.totals()) == 1
    again = Counter(what for what, _ in one.find("step"))
    assert len(again) == 16
    assert sum(again.values()) <= 16 + 5


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_retry_failed_runs_those_alone(tmp_path: Path, cluster: str, engine: str) -> None:
    where = (*engine_args(engine, cluster), "--set=fail=raise")
    first = Run(tmp_path, *where, space=SIX)
    first.end(status=1)
    reason = "ValueError: it was told to break"
    assert assert_only_one_failed(first)["reason"] == reason
    as_it_is = Run(tmp_path, *where, space=SIX)
    assert reason in " ".join(as_it_is.end(status=1).split())  # it stays failed, and says so
    (tmp_path / "healed").touch()
    before = len(first.find("start"))
    healed = Run(tmp_path, *where, "--retry-failed", space=SIX)
    healed.end()
    assert len(healed.totals()) == 6
    assert len(healed.find("start")) == before + 1


def test_a_rerun_that_fails_leaves_the_earlier_result_whole(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=fail=raise")
    (tmp_path / "healed").touch()
    Run(tmp_path, *args, space=SIX).end()
    (tmp_path / "healed").unlink()
    again = Run(tmp_path, *args, "--rerun", space=SIX)
    out = " ".join(again.end(status=1).split())
    assert "ValueError: it was told to break" in out
    assert "failed when run again; the tables show the earlier results" in out
    sweep = read_sweep(again.out, "fragile", "s")
    assert {row["status"] for row in sweep.rows()} == {"finished"}
    for row in sweep.rows():
        assert len(sweep.steps_of(row["trial_id"])) == row["num_steps"] == 3


def test_other_readers_see_the_metrics_though_the_first_trial_failed(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=fail=stage", "--budget=1trials")
    Run(tmp_path, *args, space="GRID = {'stage': [1]}\n").end(status=1)
    one = Run(tmp_path, *args, space="GRID = {'stage': [0]}\n")
    one.end()
    frame = pandas.read_parquet(Path(one.out) / "fragile" / "s" / "trials")
    assert frame["metric.total"].notna().sum() == 1


# --- told to end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_budget_in_trials_is_kept_to_the_trial(tmp_path: Path, cluster: str, engine: str) -> None:
    where = engine_args(engine, cluster)
    for ended in (4, 6):
        one = Run(tmp_path, *where, "--budget=4trials", space=SIX)
        told, wrong = one.process.communicate(timeout=120)
        assert one.process.returncode == 0, wrong
        assert len(one.totals()) == ended
        assert ("Budget reached. Run the same command to resume." in wrong) == (ended == 4)
        assert "total" in told


def test_a_budget_in_time_ends_with_what_there_is(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=seconds=1", "--set=steps=9")
    one = Run(tmp_path, *args, "--budget=5s", space=SIX)
    _, wrong = one.process.communicate(timeout=120)
    assert one.process.returncode == 0
    assert "Budget reached. Run the same command to resume." in wrong
    begun = len(one.find("begin"))
    assert 0 < begun < 54
    again = Run(tmp_path, *args, space=SIX)
    again.end()
    assert len(again.find("begin")) == 54  # no step was computed twice


def test_a_failure_within_the_budget_is_still_said(tmp_path: Path) -> None:
    one = Run(tmp_path, "--engine=local", "--set=fail=raise", "--budget=2trials", space=SIX)
    told, wrong = one.process.communicate()
    assert one.process.returncode == 1, wrong
    assert "ValueError: it was told to break" in " ".join(told.split())
    assert "Budget reached. Run the same command to resume." in wrong


def test_ctrl_c_lets_long_steps_come_to_their_checkpoint(tmp_path: Path, cluster: str) -> None:
    args = ("--address", cluster, "--gpus-per-trial=0.5", "--set=seconds=2", "--set=steps=3")
    one = Run(tmp_path, *args, space=SIX)
    one.wait_for(lambda: len(one.find("begin")) == 6 and len(one.find("step")) == 0)
    one.process.send_signal(signal.SIGINT)
    told, wrong = one.process.communicate(timeout=60)
    assert one.process.returncode == 130, wrong
    assert "press Ctrl-C again to stop now." in told
    assert "Interrupted. Run the same command to resume." in wrong
    assert len(list((Path(one.out) / ".checkpoints").glob("*.safetensors"))) == 6
    again = Run(tmp_path, *args, space=SIX)
    again.end()
    assert len(again.totals()) == 6
    assert Counter(what for what, _ in again.find("step")).most_common(1)[0][1] == 1


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_the_second_ctrl_c_stops_at_once(tmp_path: Path, cluster: str, engine: str) -> None:
    where = (*engine_args(engine, cluster), "--set=seconds=30")
    one = Run(tmp_path, *where, space=SIX)
    one.wait_for(lambda: bool(one.find("begin")))
    one.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    one.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, wrong = one.process.communicate(timeout=60)
    assert time.monotonic() - began < 15
    assert one.process.returncode == 130
    assert "Traceback" not in wrong
    assert "resume from the last checkpoints" in wrong
