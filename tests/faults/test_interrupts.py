"""Ctrl-C: what it stops, how soon, what is kept, and that the same command goes on from there."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from forked_commands import ForkedCommand
from harness import Run, interrupt, run_command, small_cluster

from results.storage.reading import read_sweep

THREE = "GRID = {'level': [0, 1, 2]}\n"
SEARCH = "def search(trial):\n    return {'level': trial.suggest_int('level', 0, 5000)}\n"
ENGINES = ("local", "ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with small_cluster() as address:
        yield address


def engine_args(engine: str, cluster: str) -> tuple[str, ...]:
    return ("--engine", "local") if engine == "local" else ("--address", cluster)


def kept(run: Run) -> list[str]:
    """The stage values under ``--out``."""
    return sorted(path.name for path in Path(run.out, ".stages", "fragile", "s").glob("*"))


# --- during stages --------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_a_long_stage_is_not_waited_for(tmp_path: Path, cluster: str, engine: str) -> None:
    where = engine_args(engine, cluster)
    one = Run(tmp_path, *where, "--set=stage_seconds=100", space=THREE)
    one.wait_for(lambda: bool(one.find("stage")))
    told, wrong, seconds = interrupt(one)
    assert seconds < 30  # a moment for local, Tune's end for Ray
    assert not one.find("stage-done")
    assert "Stopping; press Ctrl-C again to stop now." in told
    assert "best first" not in told  # nothing to show
    assert wrong == ("Interrupted before any trial made a step. Run the same command to resume.")


@pytest.mark.parametrize("engine", ENGINES)
def test_finished_stages_are_not_computed_again(tmp_path: Path, cluster: str, engine: str) -> None:
    args = (*engine_args(engine, cluster), "--set=stages=8", "--set=stage_seconds=0.4")
    one = Run(tmp_path, *args, space=THREE)
    one.wait_for(lambda: len(one.find("stage-done")) >= 3)
    _, wrong, _ = interrupt(one)
    number = len(kept(one))
    assert 2 <= number < 8
    assert f"; {number} of 8 shared stages are kept. Run the same command" in wrong
    again = Run(tmp_path, *args, space=THREE)
    told = " ".join(again.end().split())
    done = Counter(what for what, _ in again.find("stage-done"))
    assert sum(done.values()) <= 8 + len(one.find("stage")) - number  # those cut off, once more
    assert f"{number} kept from an earlier run, used 24 times" in told
    assert not Path(one.out, ".stages").exists()
    assert len(again.totals()) == 3


def test_a_stage_that_never_looks_is_waited_for_and_kept(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=checks=false", "--set=stages=4", "--set=stage_seconds=0.5")
    one = Run(tmp_path, *args, space=THREE)
    one.wait_for(lambda: len(one.find("stage")) == 2)
    _, wrong, _ = interrupt(one)
    assert len(one.find("stage")) == len(one.find("stage-done")) == len(kept(one)) == 2
    assert "2 of 4 shared stages are kept" in wrong
    again = Run(tmp_path, *args, space=THREE)
    again.end()
    assert len(again.find("stage")) == 4  # no stage twice


def test_a_killed_run_leaves_its_stages_too(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=stages=4", "--set=stage_seconds=0.5")
    one = Run(tmp_path, *args, space=THREE)
    one.wait_for(lambda: len(one.find("stage")) == 3)
    one.process.kill()
    one.process.wait()
    again = Run(tmp_path, *args, space=THREE)
    told = " ".join(again.end().split())
    assert len(again.find("stage-done")) == 4
    assert "2 stages computed in" in told
    assert "2 kept from an earlier run" in told
    assert not Path(one.out, ".stages").exists()


def test_with_a_cache_nothing_is_kept_under_out(tmp_path: Path) -> None:
    args = ["--engine=local", f"--cache={tmp_path / 'cache'}", "--set=stages=4"]
    args += ["--set=stage_seconds=0.5"]
    one = Run(tmp_path, *args, space=THREE)
    one.wait_for(lambda: len(one.find("stage")) == 3)
    _, wrong, _ = interrupt(one)
    assert "2 of 4 shared stages are kept" in wrong
    assert not kept(one)
    again = Run(tmp_path, *args, space=THREE)
    told = " ".join(again.end().split())
    assert "2 stages computed in" not in told  # four over both runs
    assert "4 stages computed in" in told
    assert "2 read from the cache, used 12 times" in told
    assert len(list((tmp_path / "cache").iterdir())) == 4


# --- during steps ---------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_interrupted_trials_are_rows_with_their_curves(
    tmp_path: Path, cluster: str, engine: str
) -> None:
    args = (*engine_args(engine, cluster), "--set=steps=8", "--set=seconds=0.4")
    args += ("--gpus-per-trial=0.5",) * (engine == "ray")
    one = Run(tmp_path, *args, space=THREE)
    one.wait_for(lambda: len(one.find("step")) >= 9)
    told, wrong, _ = interrupt(one)
    assert "Stopping after the current step of 3 trials; press Ctrl-C again to stop now." in told
    assert wrong.endswith("Interrupted. Run the same command to resume.")
    sweep = read_sweep(one.out, "fragile", "s")
    rows = sweep.rows()
    assert [row["status"] for row in rows] == ["interrupted"] * 3
    for row in rows:
        steps = sweep.steps_of(row["trial_id"])
        assert [step["at"] for step in steps] == list(range(1, row["num_steps"] + 1))
        assert steps[-1]["metric.total"] == row["metric.total"]
        assert 2 <= row["num_steps"] < 8
        assert f"interrupted@{row['num_steps']}" in told
    again = Run(tmp_path, *args, space=THREE)
    told = again.end()
    assert "used 3 times" in " ".join(told.split())  # each trial once, over both runs
    assert "interrupted@" not in told
    assert len(again.totals()) == 3
    assert set(Counter(what for what, _ in again.find("step")).values()) == {1}
    assert all(row["num_steps"] == 8 for row in read_sweep(one.out, "fragile", "s").rows())


@pytest.mark.parametrize("engine", ENGINES)
def test_sigterm_acts_like_the_first_ctrl_c(tmp_path: Path, cluster: str, engine: str) -> None:
    args = (*engine_args(engine, cluster), "--set=steps=8", "--set=seconds=0.4")
    one = Run(tmp_path, *args, space=THREE)
    one.wait_for(lambda: bool(one.find("step")))
    _, wrong, _ = interrupt(one, by=signal.SIGTERM)
    assert wrong.endswith("Interrupted. Run the same command to resume.")
    assert "interrupted" in {row["status"] for row in read_sweep(one.out, "fragile", "s").rows()}
    again = Run(tmp_path, *args, space=THREE)
    again.end()
    assert set(Counter(what for what, _ in again.find("step")).values()) == {1}


def test_workers_of_ray_write_checkpoints_under_a_relative_out(tmp_path: Path) -> None:
    run = ForkedCommand("sweep", "toy", "--set", "epochs=20000", cwd=tmp_path)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "runs" / ".checkpoints").glob("*.safetensors")):
        assert run.poll() is None
        assert time.monotonic() < deadline, "each worker wrote them to a folder of its own"
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    told = run.communicate(timeout=60)
    assert run.returncode == 130, told


def test_show_and_figures_have_an_interrupted_trials_curve(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=steps=8", "--set=seconds=0.3")
    one = Run(tmp_path, *args, space="GRID = {'level': [0]}\n")
    one.wait_for(lambda: len(one.find("step")) >= 3)
    interrupt(one)
    (row,) = read_sweep(one.out, "fragile", "s").rows()
    figure = tmp_path / "curve.svg"
    command = ["show", "s", row["trial_id"], f"--out={one.out}", f"--save={figure}"]
    shown = run_command(*command)
    assert shown.returncode == 0, shown.stderr
    assert "interrupted" in shown.stdout
    assert figure.exists()


def test_a_budget_in_time_leaves_interrupted_rows_and_figures(tmp_path: Path) -> None:
    args = ("--engine=local", "--set=steps=50", "--set=seconds=0.2", "--budget=3s")
    one = Run(tmp_path, *args, space=THREE)
    told, wrong = one.process.communicate(timeout=60)
    assert one.process.returncode == 0, wrong
    assert "Budget reached. Run the same command to resume." in wrong
    rows = read_sweep(one.out, "fragile", "s").rows()
    assert {row["status"] for row in rows} == {"interrupted"}
    assert "Figures: " in told


def test_a_budget_that_was_enough_is_not_mentioned(tmp_path: Path) -> None:
    one = Run(tmp_path, "--engine=local", "--budget=3trials", space=THREE)
    _, wrong = one.process.communicate(timeout=60)
    assert one.process.returncode == 0
    assert "udget" not in wrong
    assert len(one.totals()) == 3


def test_a_rerun_that_is_interrupted_leaves_the_earlier_result_whole(tmp_path: Path) -> None:
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
def test_a_search_goes_on_with_the_trial_in_flight(tmp_path: Path, num_interrupts: int) -> None:
    """One Ctrl-C leaves a checkpoint; two, in the first step, leave none."""
    args = ("--engine=local", "--trials=2", "--pruner=none", "--set=steps=2", "--set=seconds=1")
    one = Run(tmp_path, *args, space=SEARCH)
    one.wait_for(lambda: len(one.find("begin")) == 1)
    if num_interrupts == 2:
        one.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    interrupt(one)
    first = configurations(one)
    assert list(first.values()) == ["interrupted"]
    assert len(list(Path(one.out).glob(".checkpoints/**/*.safetensors"))) == 2 - num_interrupts
    again = Run(tmp_path, *args, space=SEARCH)
    again.end()
    last = configurations(again)
    assert list(last.values()) == ["finished"] * 2
    assert first.keys() < last.keys()
    trial_ids = list(dict.fromkeys(what for what, _ in again.find("start")))
    assert len(trial_ids) == 2
