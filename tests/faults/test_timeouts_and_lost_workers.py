"""Trials that hang, run out of memory or lose their workers, and sweeps that are stopped."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas
import pytest
from harness import Run, engine_args
from paths import PYTHONPATH

from results.storage.reading import read_sweep

SIX = "GRID = {'level': list(range(6))}\n"


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
def test_hanging_trial_fails_with_the_place_in_its_log(
    tmp_path: Path, cluster: str, engine: str
) -> None:
    where = engine_args(engine, cluster)
    run = Run(tmp_path, *where, "--set=fail=hang", "--deadline=1s", space=SIX)
    output = run.end(status=1)
    assert "a step took longer than 1 s (--step-timeout)" in output
    assert "time.sleep(1000)" in assert_only_one_failed(run)["log"]


def test_a_worker_that_cannot_be_interrupted_is_killed(tmp_path: Path, cluster: str) -> None:
    run = Run(tmp_path, "--address", cluster, "--set=fail=stuck", "--deadline=1s", space=SIX)
    run.end(status=1)
    assert "a step took longer than 1 s (--step-timeout)" in assert_only_one_failed(run)["reason"]


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_hanging_stage_fails_trials_that_need_it(tmp_path: Path, cluster: str, engine: str) -> None:
    where = engine_args(engine, cluster)
    run = Run(tmp_path, *where, "--set=stage_seconds=100", "--deadline=1s", space=SIX)
    run.end(status=1)
    reasons = {row["reason"] for row in rows_of(run).values()}
    assert len(reasons) == 1
    assert reasons.pop().startswith("the shared stage prepare(")


def test_step_within_the_timeout_is_not_affected(tmp_path: Path) -> None:
    run = Run(tmp_path, "--engine=local", "--set=seconds=0.2", "--deadline=10s", space=SIX)
    run.end()
    assert len(run.totals()) == 6


# --- memory and workers ---------------------------------------------------------------------------


def test_failed_allocation_fails_only_its_trial(tmp_path: Path) -> None:
    run = Run(tmp_path, "--engine=local", "--set=fail=balloon", "--set=seconds=0.5", space=SIX)
    run.wait_for(lambda: bool(run.find("begin")))
    pages = int(Path(f"/proc/{run.process.pid}/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 2 * 2**30
    resource.prlimit(run.process.pid, resource.RLIMIT_AS, (most, most))
    run.end(status=1)
    assert "Unable to allocate" in assert_only_one_failed(run)["reason"]


def test_worker_killed_by_the_memory_monitor_fails_alone(
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
        run = Run(tmp_path, "--address", made.address, "--set=fail=balloon", space=SIX)
        run.end(status=1, seconds=200)
    finally:
        made.shutdown()
    assert "the node ran out of memory" in assert_only_one_failed(run)["reason"]


def test_trial_that_kills_its_workers_fails_alone_with_their_last_output(
    tmp_path: Path, cluster: str
) -> None:
    run = Run(tmp_path, "--address", cluster, "--gpus-per-trial=0.5", "--set=fail=exit", space=SIX)
    assert "its worker died 4 times" in run.end(status=1, seconds=200)
    row = assert_only_one_failed(run)
    assert "its worker died 4 times" in row["reason"]
    assert "the last line of a dying worker" in row["log"]


def test_lost_workers_do_not_add_up_over_new_steps(tmp_path: Path, cluster: str) -> None:
    args = ("--address", cluster, "--set=seconds=0.3", "--set=steps=16", "--set=level=0")
    run = Run(tmp_path, *args, space="GRID = {'stage': [0]}\n")
    for number in range(1, 6):  # more often than a pack may lose its worker without a new step
        run.wait_for(lambda number=number: len(run.find("step")) >= 2 * number)  # type: ignore[misc]
        os.kill(run.find("step")[-1][1], signal.SIGKILL)
    run.end()
    assert len(run.totals()) == 1
    again = Counter(what for what, _ in run.find("step"))
    assert len(again) == 16
    assert sum(again.values()) <= 16 + 5


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_retry_failed_runs_only_failed_trials(tmp_path: Path, cluster: str, engine: str) -> None:
    where = (*engine_args(engine, cluster), "--set=fail=raise")
    first = Run(tmp_path, *where, space=SIX)
    first.end(status=1)
    reason = "ValueError: broken on purpose"
    assert assert_only_one_failed(first)["reason"] == reason
    as_it_is = Run(tmp_path, *where, space=SIX)
    assert reason in " ".join(as_it_is.end(status=1).split())  # it does not run again
    (tmp_path / "healed").touch()
    before = len(first.find("start"))
    healed = Run(tmp_path, *where, "--retry-failed", space=SIX)
    healed.end()
    assert len(healed.totals()) == 6
    assert len(healed.find("start")) == before + 1


def test_failed_rerun_keeps_the_earlier_result(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=fail=raise")
    (tmp_path / "healed").touch()
    Run(tmp_path, *args, space=SIX).end()
    (tmp_path / "healed").unlink()
    again = Run(tmp_path, *args, "--rerun", space=SIX)
    out = " ".join(again.end(status=1).split())
    assert "ValueError: broken on purpose" in out
    assert "failed when run again; the tables show the earlier results" in out
    sweep = read_sweep(again.out, "fragile", "s")
    assert {row["status"] for row in sweep.rows()} == {"finished"}
    for row in sweep.rows():
        assert len(sweep.steps_of(row["trial_id"])) == row["num_steps"] == 3


def test_pandas_reads_metrics_if_the_first_trial_failed(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=fail=stage", "--budget=1trials")
    Run(tmp_path, *args, space="GRID = {'stage': [1]}\n").end(status=1)
    run = Run(tmp_path, *args, space="GRID = {'stage': [0]}\n")
    run.end()
    frame = pandas.read_parquet(Path(run.out) / "fragile" / "s" / "trials")
    assert frame["metric.total"].notna().sum() == 1


# --- budgets and Ctrl-C ---------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_budget_in_trials_is_exact(tmp_path: Path, cluster: str, engine: str) -> None:
    where = engine_args(engine, cluster)
    for ended in (4, 6):
        run = Run(tmp_path, *where, "--budget=4trials", space=SIX)
        output, errors = run.process.communicate(timeout=120)
        assert run.process.returncode == 0, errors
        assert len(run.totals()) == ended
        assert ("Budget reached. Run the same command to resume." in errors) == (ended == 4)
        assert "total" in output


def test_budget_in_time_ends_with_partial_results(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=seconds=1", "--set=steps=9")
    run = Run(tmp_path, *args, "--budget=5s", space=SIX)
    _, errors = run.process.communicate(timeout=120)
    assert run.process.returncode == 0
    assert "Budget reached. Run the same command to resume." in errors
    begun = len(run.find("begin"))
    assert 0 < begun < 54
    again = Run(tmp_path, *args, space=SIX)
    again.end()
    assert len(again.find("begin")) == 54  # no step was computed twice


def test_failure_within_the_budget_is_printed_and_exits_1(tmp_path: Path) -> None:
    run = Run(tmp_path, "--engine=local", "--set=fail=raise", "--budget=2trials", space=SIX)
    output, errors = run.process.communicate()
    assert run.process.returncode == 1, errors
    assert {level: row["status"] for level, row in rows_of(run).items()} == {
        0: "finished",
        1: "failed",
    }
    failed = rows_of(run)[1]["trial_id"]
    assert f"{failed[:8]}" in output  # the row of the failed trial, with its reason below the table
    assert " ".join(output.split()).count("ValueError: broken on purpose") >= 1
    assert f"Logs of failed trials: {run.out}/fragile/s/logs" in output
    assert errors.endswith("Budget reached. Run the same command to resume.\n")
    assert "Traceback" not in output + errors


def test_ctrl_c_waits_for_the_checkpoint_of_long_steps(tmp_path: Path, cluster: str) -> None:
    args = ("--address", cluster, "--gpus-per-trial=0.5", "--set=seconds=2", "--set=steps=3")
    run = Run(tmp_path, *args, space=SIX)
    run.wait_for(lambda: len(run.find("begin")) == 6 and len(run.find("step")) == 0)
    run.process.send_signal(signal.SIGINT)
    output, errors = run.process.communicate(timeout=60)
    assert run.process.returncode == 130, errors
    assert "press Ctrl-C again to stop now." in output
    assert "Interrupted. Run the same command to resume." in errors
    assert len(list((Path(run.out) / ".checkpoints").glob("*.safetensors"))) == 6
    again = Run(tmp_path, *args, space=SIX)
    again.end()
    assert len(again.totals()) == 6
    assert Counter(what for what, _ in again.find("step")).most_common(1)[0][1] == 1


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_second_ctrl_c_stops_at_once(tmp_path: Path, cluster: str, engine: str) -> None:
    where = (*engine_args(engine, cluster), "--set=seconds=30")
    run = Run(tmp_path, *where, space=SIX)
    run.wait_for(lambda: bool(run.find("begin")))
    run.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    run.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, errors = run.process.communicate(timeout=60)
    assert time.monotonic() - began < 15
    assert run.process.returncode == 130
    assert "Traceback" not in errors
    assert "resume from the last checkpoints" in errors
