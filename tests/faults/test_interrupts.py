"""Ctrl-C: what it stops, how soon, what is kept, and that the same command resumes."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from forked_commands import ForkedCommand
from harness import Run, engine_args, interrupt, run_command

from results.storage.reading import read_sweep

THREE = "GRID = {'level': [0, 1, 2]}\n"
SEARCH = "def search(trial):\n    return {'level': trial.suggest_int('level', 0, 5000)}\n"
ENGINES = ("local", "ray")


def kept(run: Run) -> list[str]:
    """The stage values under ``--out``."""
    return sorted(path.name for path in Path(run.out, ".stages", "fragile", "s").glob("*"))


# --- during stages --------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_ctrl_c_does_not_wait_for_a_long_stage(tmp_path: Path, cluster: str, engine: str) -> None:
    where = engine_args(engine, cluster)
    run = Run(tmp_path, *where, "--set=stage_seconds=100", space=THREE)
    run.wait_for(lambda: bool(run.find("stage")))
    output, errors, seconds = interrupt(run)
    assert seconds < 30  # on Ray, Tune takes some time to stop
    assert not run.find("stage-done")
    assert "Stopping; press Ctrl-C again to stop now." in output
    assert "best first" not in output  # nothing to show
    assert errors == ("Interrupted before any trial made a step. Run the same command to resume.")


@pytest.mark.parametrize("engine", ENGINES)
def test_ctrl_c_keeps_finished_stages(tmp_path: Path, cluster: str, engine: str) -> None:
    args = (*engine_args(engine, cluster), "--set=stages=8", "--set=stage_seconds=0.4")
    run = Run(tmp_path, *args, space=THREE)
    run.wait_for(lambda: len(run.find("stage-done")) >= 3)
    _, errors, _ = interrupt(run)
    number = len(kept(run))
    assert 2 <= number < 8
    assert f"; {number} of 8 shared stages are kept. Run the same command" in errors
    again = Run(tmp_path, *args, space=THREE)
    output = " ".join(again.end().split())
    done = Counter(what for what, _ in again.find("stage-done"))
    assert (
        sum(done.values()) <= 8 + len(run.find("stage")) - number
    )  # interrupted ones run once more
    assert f"{number} kept from an earlier run, used 24 times" in output
    assert not Path(run.out, ".stages").exists()
    assert len(again.totals()) == 3


def test_ctrl_c_waits_for_a_stage_without_interrupt_checks(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=checks=false", "--set=stages=4", "--set=stage_seconds=0.5")
    run = Run(tmp_path, *args, space=THREE)
    run.wait_for(lambda: len(run.find("stage")) == 2)
    _, errors, _ = interrupt(run)
    assert len(run.find("stage")) == len(run.find("stage-done")) == len(kept(run)) == 2
    assert "2 of 4 shared stages are kept" in errors
    again = Run(tmp_path, *args, space=THREE)
    again.end()
    assert len(again.find("stage")) == 4  # no stage twice


def test_killed_run_keeps_its_finished_stages(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=stages=4", "--set=stage_seconds=0.5")
    run = Run(tmp_path, *args, space=THREE)
    run.wait_for(lambda: len(run.find("stage")) == 3)
    run.process.kill()
    run.process.wait()
    again = Run(tmp_path, *args, space=THREE)
    output = " ".join(again.end().split())
    assert len(again.find("stage-done")) == 4
    assert "2 stages computed in" in output
    assert "2 kept from an earlier run" in output
    assert not Path(run.out, ".stages").exists()


def test_with_a_cache_stages_are_kept_only_there(tmp_path: Path) -> None:
    args = ["--engine=local", f"--cache={tmp_path / 'cache'}", "--set=stages=4"]
    args += ["--set=stage_seconds=0.5"]
    run = Run(tmp_path, *args, space=THREE)
    run.wait_for(lambda: len(run.find("stage")) == 3)
    _, errors, _ = interrupt(run)
    assert "2 of 4 shared stages are kept" in errors
    assert not kept(run)
    again = Run(tmp_path, *args, space=THREE)
    output = " ".join(again.end().split())
    assert "2 stages computed in" not in output  # four over both runs
    assert "4 stages computed in" in output
    assert "2 read from the cache, used 12 times" in output
    assert len(list((tmp_path / "cache").iterdir())) == 4


# --- during steps ---------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_interrupted_trials_are_rows_with_their_steps(
    tmp_path: Path, cluster: str, engine: str
) -> None:
    args = (*engine_args(engine, cluster), "--set=steps=8", "--set=seconds=0.4")
    args += ("--gpus-per-trial=0.5",) * (engine == "ray")
    run = Run(tmp_path, *args, space=THREE)
    run.wait_for(lambda: len(run.find("step")) >= 9)
    output, errors, _ = interrupt(run)
    assert "Stopping after the current step of 3 trials; press Ctrl-C again to stop now." in output
    assert errors.endswith("Interrupted. Run the same command to resume.")
    sweep = read_sweep(run.out, "fragile", "s")
    rows = sweep.rows()
    assert [row["status"] for row in rows] == ["interrupted"] * 3
    for row in rows:
        steps = sweep.steps_of(row["trial_id"])
        assert [step["at"] for step in steps] == list(range(1, row["num_steps"] + 1))
        assert steps[-1]["metric.total"] == row["metric.total"]
        assert 2 <= row["num_steps"] < 8
        assert f"interrupted@{row['num_steps']}" in output
    again = Run(tmp_path, *args, space=THREE)
    output = again.end()
    assert "used 3 times" in " ".join(output.split())  # each trial once, over both runs
    assert "interrupted@" not in output
    assert len(again.totals()) == 3
    assert set(Counter(what for what, _ in again.find("step")).values()) == {1}
    assert all(row["num_steps"] == 8 for row in read_sweep(run.out, "fragile", "s").rows())


@pytest.mark.parametrize("engine", ENGINES)
def test_sigterm_acts_like_the_first_ctrl_c(tmp_path: Path, cluster: str, engine: str) -> None:
    args = (*engine_args(engine, cluster), "--set=steps=8", "--set=seconds=0.4")
    run = Run(tmp_path, *args, space=THREE)
    run.wait_for(lambda: bool(run.find("step")))
    _, errors, _ = interrupt(run, by=signal.SIGTERM)
    assert errors.endswith("Interrupted. Run the same command to resume.")
    assert "interrupted" in {row["status"] for row in read_sweep(run.out, "fragile", "s").rows()}
    again = Run(tmp_path, *args, space=THREE)
    again.end()
    assert set(Counter(what for what, _ in again.find("step")).values()) == {1}


def test_ray_workers_write_checkpoints_under_a_relative_out(tmp_path: Path) -> None:
    run = ForkedCommand("sweep", "toy", "--set", "epochs=20000", cwd=tmp_path)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "runs" / ".checkpoints").glob("*.safetensors")):
        assert run.poll() is None
        assert time.monotonic() < deadline, "each worker wrote them to a folder of its own"
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    output = run.communicate(timeout=60)
    assert run.returncode == 130, output


def test_show_draws_the_curve_of_an_interrupted_trial(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=steps=8", "--set=seconds=0.3")
    run = Run(tmp_path, *args, space="GRID = {'level': [0]}\n")
    run.wait_for(lambda: len(run.find("step")) >= 3)
    interrupt(run)
    (row,) = read_sweep(run.out, "fragile", "s").rows()
    figure = tmp_path / "curve.svg"
    command = ["show", "s", row["trial_id"], f"--out={run.out}", f"--save={figure}"]
    shown = run_command(*command)
    assert shown.returncode == 0, shown.stderr
    assert "interrupted" in shown.stdout
    assert figure.exists()


def test_a_budget_in_time_leaves_interrupted_rows_and_figures(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=steps=50", "--set=seconds=0.2", "--budget=3s")
    run = Run(tmp_path, *args, space=THREE)
    output, errors = run.process.communicate(timeout=60)
    assert run.process.returncode == 0, errors
    assert "Budget reached. Run the same command to resume." in errors
    rows = read_sweep(run.out, "fragile", "s").rows()
    assert {row["status"] for row in rows} == {"interrupted"}
    assert "Figures: " in output


def test_sufficient_budget_is_not_mentioned(tmp_path: Path) -> None:
    run = Run(tmp_path, "--engine=local", "--budget=3trials", space=THREE)
    _, errors = run.process.communicate(timeout=60)
    assert run.process.returncode == 0
    assert "udget" not in errors
    assert len(run.totals()) == 3


def test_interrupted_rerun_keeps_the_earlier_result(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=seconds=0.3")
    first = Run(tmp_path, *args, space=THREE)
    first.end()
    before = read_sweep(first.out, "fragile", "s")
    again = Run(tmp_path, *args, "--rerun", space=THREE)
    steps = len(first.find("step"))
    again.wait_for(lambda: len(again.find("step")) > steps)
    interrupt(again)
    after = read_sweep(first.out, "fragile", "s")
    assert after.trials.equals(before.trials)
    assert after.steps.num_rows == before.steps.num_rows == 9


# --- searches -------------------------------------------------------------------------------------


def configurations(run: Run) -> dict[int, str]:
    """level -> status."""
    rows = read_sweep(run.out, "fragile", "s").rows()
    return {row["param.level"]: row["status"] for row in rows}


@pytest.mark.parametrize("num_interrupts", [1, 2])
def test_interrupted_search_continues_its_running_trial(
    tmp_path: Path, num_interrupts: int
) -> None:
    """One Ctrl-C leaves a checkpoint; two, in the first step, leave none."""
    args = ("--engine=local", "--trials=2", "--pruner=none", "--set=steps=2", "--set=seconds=1")
    run = Run(tmp_path, *args, space=SEARCH)
    run.wait_for(lambda: len(run.find("begin")) == 1)
    if num_interrupts == 2:
        run.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    interrupt(run)
    first = configurations(run)
    assert list(first.values()) == ["interrupted"]
    assert len(list(Path(run.out).glob(".checkpoints/**/*.safetensors"))) == 2 - num_interrupts
    again = Run(tmp_path, *args, space=SEARCH)
    again.end()
    last = configurations(again)
    assert list(last.values()) == ["finished"] * 2
    assert first.keys() < last.keys()
    trial_ids = list(dict.fromkeys(what for what, _ in again.find("start")))
    assert len(trial_ids) == 2
