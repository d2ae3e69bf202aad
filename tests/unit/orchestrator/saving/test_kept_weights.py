"""Kept weights: their files, which of them stay, and what the user hears."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from disks import fill_up, small_disk
from sealed_weights import check_round_trip, sealed
from toy_sweep.task import TASK as TOY
from toy_sweep.task import ToyTask

from orchestrator.cli import main
from orchestrator.planning.discovery import load_task
from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from orchestrator.saving.final_weights import chosen_weights, write_weights
from results.storage.reading import Sweep, read_sweep
from results.storage.weights import (
    WeightStore,
    describe_weights,
    find_weights,
    weights_of,
)
from tasks.contract import State, StoreError, Task, Trial

FOUR = "GRID = {'degree': [1, 3, 5, 9], 'epochs': [3]}\n"


@pytest.fixture
def toy_trial() -> Trial:
    return make_plan(Request(task="toy", engine="local")).trials[0]


Print = Callable[..., str]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Print:
    """Runs a command in this process and gives what it prints, also the live view's lines."""

    def run(*args: str, status: int = 0) -> str:
        before, ended = sys.argv, 0
        sys.argv = ["orchestrator", *args]
        capfd.readouterr()
        try:
            main()
        except SystemExit as end:
            ended = int(end.code or 0)
        finally:
            sys.argv = before
        told = "".join(capfd.readouterr())
        assert ended == status, told
        return told

    return run


@pytest.fixture
def sweep_toy(tmp_path: Path, command: Print) -> Print:
    """The same for ``sweep toy`` over four configurations, or those of another space."""

    def run(*options: str, space: str = FOUR) -> str:
        (tmp_path / "space.py").write_text(space)
        where = (f"--space={tmp_path / 'space.py'}", f"--out={tmp_path / 'runs'}")
        return command("sweep", "toy", "--engine=local", *where, *options)

    return run


def open_toy(folder: Path, name: str = "space") -> Sweep:
    return read_sweep(str(folder / "runs"), "toy", name)


def kept(folder: Path, name: str = "space") -> dict[tuple[int, int], str]:
    """(degree, seed) -> the sweep that holds the weights; each file is read."""
    sweep, found = open_toy(folder, name), {}
    for row in sweep.rows():
        store = find_weights(sweep, row)
        if store is not None:
            weights = store.read(row["trial_id"])
            assert weights is not None
            assert weights.arrays["weights"].shape == (row["param.degree"] + 1,)
            found[row["param.degree"], row["seed"]] = store.sweep
    return found


def files_of(folder: Path, name: str = "space") -> set[str]:
    """Names of all files among the kept weights."""
    place = folder / "runs" / "toy" / name / "weights"
    return {path.name for path in place.iterdir()} if place.exists() else set()


# --- one file -------------------------------------------------------------------------------------


def test_arrays_of_both_kinds_and_bfloat16_come_back(tmp_path: Path) -> None:
    (tmp_path / "toy" / "s").mkdir(parents=True)
    check_round_trip(str(tmp_path))


def test_any_changed_byte_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "toy" / "s").mkdir(parents=True)
    store = WeightStore(str(tmp_path), "toy", "s")
    blob = sealed("t1", {"a": np.arange(3.0), "b": np.ones(2, np.float32)})
    store.write("t1", blob)
    file = tmp_path / "toy/s/weights/t1.safetensors"
    for place in range(len(blob)):
        damaged = bytearray(blob)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        with pytest.raises(StoreError, match="delete the file, then add --keep best") as told:
            store.read("t1")
        assert str(file) in str(told.value)
    for length in (0, 5, 8, 100, len(blob) - 1):
        file.write_bytes(blob[:length])
        with pytest.raises(StoreError, match="damaged"):
            store.read("t1")
    file.write_bytes(safetensors.torch.save({"a": torch.ones(2)}))
    with pytest.raises(StoreError, match="it has no seal"):
        store.read("t1")
    file.write_bytes(sealed("t2", {"a": np.ones(1)}))
    with pytest.raises(StoreError, match="of trial t2"):
        store.read("t1")


def test_a_write_that_fails_leaves_the_earlier_file(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        (disk / "toy" / "s").mkdir(parents=True)
        store = WeightStore(str(disk), "toy", "s")
        first = sealed("t1", {"a": np.ones(1000)})
        store.write("t1", first)
        with pytest.raises(StoreError, match="has only"):  # it would take most of what is free
            store.write("t1", sealed("t1", {"a": np.ones(100_000)}))
        fill_up(disk / "filler")
        with pytest.raises(StoreError):
            store.write("t1", sealed("t1", {"a": np.zeros(1000)}))
        assert store.sizes() == {"t1": len(first)}
        assert store.read("t1") is not None
        assert not store.leftovers()


def test_a_folder_that_this_machine_does_not_have_is_not_made(tmp_path: Path) -> None:
    store = WeightStore(str(tmp_path / "elsewhere"), "toy", "s")
    with pytest.raises(StoreError, match="No such file"):
        store.write("t1", b"")
    assert not (tmp_path / "elsewhere").exists()


def test_what_numpy_cannot_hold_is_refused_when_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="F8_E4M3"):
        sealed("t1", {"a": torch.ones(2).to(torch.float8_e4m3fn)})


# --- what a task keeps ----------------------------------------------------------------------------


def variant(weights: Any) -> Any:
    return type("Other", (ToyTask,), {"weights": weights})()


def test_a_task_without_the_method_keeps_all_arrays(toy_trial: Trial) -> None:
    state = State(arrays={"weights": np.ones(2), "velocity": np.zeros(2)}, values={"epoch": 1})
    without: Any = type("Without", (ToyTask,), {"has_weights": False})()
    assert chosen_weights(variant(Task.weights), toy_trial, state) == state.arrays
    assert chosen_weights(TOY, toy_trial, state).keys() == {"weights"}
    assert chosen_weights(without, toy_trial, state) == {}


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        (lambda self, trial, state: [1], "weights must return a dict of arrays by name, but got"),
        (lambda self, trial, state: {"a": [1.0]}, "'a' is"),
        (lambda self, trial, state: 1 / 0, "ZeroDivisionError"),
        (lambda self, trial, state: {"a": np.array(["x"])}, ""),
    ],
)
def test_a_method_that_breaks_is_said_and_the_trial_goes_on(
    tmp_path: Path, toy_trial: Trial, weights: Callable[..., Any], problem: str
) -> None:
    store = WeightStore(str(tmp_path), "toy", "s")
    written = write_weights(store, variant(weights), toy_trial, State())
    assert written.num_bytes == 0
    assert problem in written.error
    assert written.error


def test_retrieval_keeps_what_is_trained_and_diffusion_what_is_sampled() -> None:
    arrays = {f"{part}.w": np.ones(1) for part in ("weight", "mean", "square", "constant", "ema")}
    state = State(arrays=arrays)
    retrieval = make_plan(Request(task="retrieval", engine="local")).trials[0]
    found = chosen_weights(load_task("retrieval"), retrieval, state)
    assert found.keys() == {"weight.w", "constant.w"}
    diffusion = make_plan(Request(task="diffusion", engine="local")).trials[0]
    with_average = dataclasses.replace(
        diffusion, params=dataclasses.replace(diffusion.params, ema=0.99)
    )
    without = dataclasses.replace(diffusion, params=dataclasses.replace(diffusion.params, ema=0.0))
    task = load_task("diffusion")
    assert chosen_weights(task, with_average, state).keys() == {"ema.w"}
    assert chosen_weights(task, without, state).keys() == {"weight.w"}


def test_a_file_says_which_trial_it_is_of(tmp_path: Path, toy_trial: Trial) -> None:
    (tmp_path / "toy" / "s").mkdir(parents=True)
    store = WeightStore(str(tmp_path), "toy", "s")
    state = State(arrays={"weights": np.ones(2), "velocity": np.ones(2)}, values={"epoch": 4})
    assert write_weights(store, TOY, toy_trial, state).num_bytes == store.sizes()[toy_trial.id]
    found = store.read(toy_trial.id)
    assert found is not None
    assert found.values == {"epoch": 4}
    assert found.metadata["task"] == "toy"
    assert found.metadata["version"] == TOY.version
    assert found.metadata["seed"] == toy_trial.seed
    assert found.metadata["params"] == toy_trial.param_values()
    assert found.metadata["model"] == dataclasses.asdict(toy_trial.model)
    assert found.metadata["data"] == dataclasses.asdict(toy_trial.data)


# --- a sweep --------------------------------------------------------------------------------------


def test_the_best_and_its_ties_stay_by_default(
    tmp_path: Path, sweep_toy: Print, command: Print
) -> None:
    told = sweep_toy("--seeds=2")
    assert "Kept the weights of" in told
    assert f"export them with: python -m orchestrator export toy/space DIR --out {tmp_path}" in told
    found = kept(tmp_path)
    sweep = open_toy(tmp_path)
    marked = {row.params["degree"] for row in _marked(sweep)}
    assert marked
    assert found == {(degree, seed): "toy/space" for degree in marked for seed in (0, 1)}
    assert len(files_of(tmp_path)) == len(found)
    number = f"{len(found)} trials"
    assert number in told
    assert number in describe_weights(sweep, None)
    shown = command("show", f"{tmp_path}/runs/toy/space")
    assert f"of {number}" in shown
    row = next(row for row in sweep.rows() if row["param.degree"] not in marked)
    shown = " ".join(command("show", "space", row["trial_id"], f"--out={tmp_path}/runs").split())
    assert "weights not kept; add --keep all to the sweep's command" in shown
    row = next(row for row in sweep.rows() if row["param.degree"] in marked)
    size = weights_of(sweep, [row])[row["trial_id"]][1]
    assert f"{size} bytes" in command("show", "space", row["trial_id"], f"--out={tmp_path}/runs")


def _marked(sweep: Sweep) -> list[Any]:
    from results.tables.summary import summarise

    return [row for table in summarise(sweep, None) for row in table.rows if row.mark]


def test_keep_none_all_and_a_number(tmp_path: Path, sweep_toy: Print) -> None:
    assert "weights" not in sweep_toy("--keep=none").split("Results:")[1]
    assert not (tmp_path / "runs/toy/space/weights").exists()
    assert "not kept" not in sweep_toy()  # as before: nothing is kept, nothing runs
    assert not files_of(tmp_path)
    told = sweep_toy("--keep=all")
    assert "4 trials to run again, because of missing weights" in told
    assert "Kept the weights of 4 trials" in told
    assert len(files_of(tmp_path)) == 4
    told = sweep_toy()  # as before, without the option
    assert "Every trial of this sweep is done already" in told
    assert len(files_of(tmp_path)) == 4
    assert "run again" not in sweep_toy("--keep=2")
    by_error = sorted(open_toy(tmp_path).rows(), key=lambda row: float(row["metric.error"]))
    assert {degree for degree, _ in kept(tmp_path)} == {r["param.degree"] for r in by_error[:2]}
    sweep_toy("--keep=none")
    assert not files_of(tmp_path)


def test_only_what_is_wanted_and_missing_runs_again(tmp_path: Path, sweep_toy: Print) -> None:
    sweep_toy("--keep=none", "--seeds=2")
    before = {row["trial_id"]: row["ended"] for row in open_toy(tmp_path).rows()}
    dry = sweep_toy("--keep=1", "--seeds=2", "--dry-run")
    assert "--keep 1 runs 2 trials again, because of missing weights" in dry
    sweep_toy("--keep=1", "--seeds=2")
    sweep = open_toy(tmp_path)
    again = {r["trial_id"] for r in sweep.rows() if r["ended"] != before[r["trial_id"]]}
    assert again == set(weights_of(sweep, sweep.rows()))
    assert len(again) == 2
    assert sweep_toy("--keep=1", "--seeds=2").count("to run again") == 0


def test_a_search_keeps_its_best_and_runs_it_again(tmp_path: Path, sweep_toy: Print) -> None:
    space = "def search(trial):\n    return {'degree': trial.suggest_int('degree', 0, 12)}\n"
    options = ("--trials=4", "--sampler=random", "--pruner=none", "--set=epochs=3")
    sweep_toy(*options, "--keep=none", "--name=found", space=space)
    told = sweep_toy(*options, "--keep=1", "--name=found", space=space)
    assert "1 trial to run again, because of missing weights" in told
    rows = [r for r in open_toy(tmp_path, "found").rows() if r["status"] == "finished"]
    best = min(rows, key=lambda row: float(row["metric.error"]))
    assert kept(tmp_path, "found") == {(best["param.degree"], 0): "toy/found"}


def test_more_seeds_lose_no_complete_best(tmp_path: Path, sweep_toy: Print) -> None:
    sweep_toy()
    (first,) = {degree for degree, _ in kept(tmp_path)} or {0}
    told = sweep_toy("--seeds=3")
    found = kept(tmp_path)
    chosen = {row.params["degree"] for row in _marked(open_toy(tmp_path))}
    whole = [d for d in (1, 3, 5, 9) if {(d, seed) for seed in range(3)} <= found.keys()]
    assert first in whole or chosen & set(whole)
    if not {(d, s) for d in chosen for s in range(3)} <= found.keys():
        assert "have no weights; add --keep best" in told or "has no weights" in told
        sweep_toy("--seeds=3", "--keep=best")
    assert {(d, s) for d in chosen for s in range(3)} <= kept(tmp_path).keys()


def test_a_reused_trial_finds_its_weights_in_the_sweep_that_ran_it(
    tmp_path: Path, sweep_toy: Print
) -> None:
    sweep_toy("--keep=all", "--name=first")
    told = sweep_toy("--name=second")
    assert set(kept(tmp_path, "second").values()) == {"toy/first"}
    assert not files_of(tmp_path, "second")
    assert "toy/first/weights" in told
    assert "to run again" not in sweep_toy("--name=second", "--keep=all")
    row = open_toy(tmp_path, "second").rows()[0]
    assert "in toy/first" in describe_weights(open_toy(tmp_path, "second"), row)
    shutil.rmtree(tmp_path / "runs/toy/first/weights")
    assert "4 trials to run again" in sweep_toy("--name=second", "--keep=all")
    assert set(kept(tmp_path, "second").values()) == {"toy/second"}


def test_a_damaged_file_is_named_and_can_be_replaced(tmp_path: Path, sweep_toy: Print) -> None:
    sweep_toy()
    sweep = open_toy(tmp_path)
    row = next(row for row in sweep.rows() if find_weights(sweep, row))
    store = find_weights(sweep, row)
    assert store is not None
    file = tmp_path / "runs/toy/space/weights" / f"{row['trial_id']}.safetensors"
    blob = bytearray(file.read_bytes())
    blob[-1] ^= 255
    file.write_bytes(blob)
    with pytest.raises(StoreError, match=f"{row['trial_id']}.safetensors are damaged"):
        store.read(row["trial_id"])
    file.unlink()  # as the error says
    assert "1 trial to run again" in sweep_toy("--keep=best")
    assert store.read(row["trial_id"]) is not None


def test_what_a_killed_run_left_is_removed(tmp_path: Path, sweep_toy: Print) -> None:
    sweep_toy()
    folder = tmp_path / "runs/toy/space/weights"
    before = files_of(tmp_path)
    (folder / "0123456789abcdef.safetensors").write_bytes(b"of no trial")
    (folder / "0123456789abcdef.safetensors.0a1b2c3d.tmp").write_bytes(b"half")
    sweep_toy()
    assert files_of(tmp_path) == before


def test_a_run_that_is_cut_short_keeps_its_candidates(tmp_path: Path, sweep_toy: Print) -> None:
    told = sweep_toy("--budget=2trials", "--seeds=2")
    assert "are in" in told.split("Figures:")[1]
    assert "so far" in told
    assert len(files_of(tmp_path)) == 2
    assert "Kept the weights of" in sweep_toy("--seeds=2")
    marked = {row.params["degree"] for row in _marked(open_toy(tmp_path))}
    assert kept(tmp_path).keys() == {(degree, seed) for degree in marked for seed in (0, 1)}


def test_each_table_of_a_report_keeps_its_best(tmp_path: Path, sweep_toy: Print) -> None:
    space = (
        "from search_spaces.space import Row, Table\n"
        "REPORT = tuple(Table(title=t, rows=tuple(Row(params={'degree': d, 'epochs': 3}) "
        "for d in ds)) for t, ds in (('low', (0, 1)), ('high', (3, 9))))\n"
    )
    sweep_toy("--keep=1", space=space)
    found = {degree for degree, _ in kept(tmp_path)}
    assert len(found & {0, 1}) == 1
    assert len(found & {3, 9}) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("toy", "--keep=some"), "--keep takes best, none, all, or a number"),
        (("toy", "--keep=0"), "but got '0'"),
        (("toy", "--keep=-1"), "but got '-1'"),
        (("captioning", "--keep=all"), "captioning trains nothing, so it has no weights"),
    ],
)
def test_a_wrong_keep_is_one_line(
    tmp_path: Path, options: tuple[str, ...], words: str, command: Print
) -> None:
    told = command("sweep", *options, "--engine=local", f"--out={tmp_path}/runs", status=2)
    assert words in " ".join(told.split())
    assert not (tmp_path / "runs").exists()
