"""Weights that sweeps of the toy task keep, and trials that run again for them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import main
from results.storage.reading import Sweep, read_sweep
from results.storage.weights import (
    describe_weights,
    find_weights,
    weights_of,
)
from tasks.contract import StoreError

FOUR = "GRID = {'degree': [1, 3, 5, 9], 'epochs': [1]}\n"  # without curves to draw
Print = Callable[..., str]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Print:
    """Runs a command in this process; returns its output, including lines of the live view."""

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
        output = "".join(capfd.readouterr())
        assert ended == status, output
        return output

    return run


@pytest.fixture
def sweep_toy(tmp_path: Path, command: Print) -> Print:
    """The same for ``sweep toy`` over four configurations, or over another space."""

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
    """The names of all files in the folder of weights."""
    place = folder / "runs" / "toy" / name / "weights"
    return {path.name for path in place.iterdir()} if place.exists() else set()


def test_default_keeps_the_best_and_its_ties(
    tmp_path: Path, sweep_toy: Print, command: Print
) -> None:
    output = sweep_toy("--seeds=2")
    assert "Kept the weights of" in output
    assert (
        f"export them with: python -m orchestrator export toy/space DIR --out {tmp_path}" in output
    )
    found = kept(tmp_path)
    sweep = open_toy(tmp_path)
    marked = {row.params["degree"] for row in _marked(sweep)}
    assert marked
    assert found == {(degree, seed): "toy/space" for degree in marked for seed in (0, 1)}
    assert len(files_of(tmp_path)) == len(found)
    number = f"{len(found)} trials"
    assert number in output
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
    from results.tables.summary import summarize

    return [row for table in summarize(sweep, None) for row in table.rows if row.mark]


def test_keep_none_all_and_a_number(tmp_path: Path, sweep_toy: Print) -> None:
    assert "weights" not in sweep_toy("--keep=none").split("Results:")[1]
    assert not (tmp_path / "runs/toy/space/weights").exists()
    assert "not kept" not in sweep_toy()  # same request: nothing is kept, nothing runs
    assert not files_of(tmp_path)
    output = sweep_toy("--keep=all")
    assert "4 trials will run again, because weights are missing" in output
    assert "Kept the weights of 4 trials" in output
    assert len(files_of(tmp_path)) == 4
    output = sweep_toy()  # as before, without the option
    assert "Every trial of this sweep is already done" in output
    assert len(files_of(tmp_path)) == 4
    assert "run again" not in sweep_toy("--keep=2")
    by_error = sorted(open_toy(tmp_path).rows(), key=lambda row: float(row["metric.error"]))
    assert {degree for degree, _ in kept(tmp_path)} == {r["param.degree"] for r in by_error[:2]}
    sweep_toy("--keep=none")
    assert not files_of(tmp_path)


def test_only_trials_with_missing_weights_run_again(tmp_path: Path, sweep_toy: Print) -> None:
    sweep_toy("--keep=none", "--seeds=2")
    before = {row["trial_id"]: row["ended"] for row in open_toy(tmp_path).rows()}
    dry = sweep_toy("--keep=1", "--seeds=2", "--dry-run")
    assert "--keep 1 runs 2 trials again, because weights are missing" in dry
    sweep_toy("--keep=1", "--seeds=2")
    sweep = open_toy(tmp_path)
    again = {r["trial_id"] for r in sweep.rows() if r["ended"] != before[r["trial_id"]]}
    assert again == set(weights_of(sweep, sweep.rows()))
    assert len(again) == 2
    assert sweep_toy("--keep=1", "--seeds=2").count("will run again") == 0


def test_search_runs_its_best_again_for_missing_weights(tmp_path: Path, sweep_toy: Print) -> None:
    space = "def search(trial):\n    return {'degree': trial.suggest_int('degree', 0, 12)}\n"
    options = ("--trials=4", "--sampler=random", "--pruner=none", "--set=epochs=1")
    sweep_toy(*options, "--keep=none", "--name=found", space=space)
    output = sweep_toy(*options, "--keep=1", "--name=found", space=space)
    assert "1 trial will run again, because weights are missing" in output
    rows = [r for r in open_toy(tmp_path, "found").rows() if r["status"] == "finished"]
    best = min(rows, key=lambda row: float(row["metric.error"]))
    assert kept(tmp_path, "found") == {(best["param.degree"], 0): "toy/found"}


def test_more_seeds_keep_a_complete_best(tmp_path: Path, sweep_toy: Print) -> None:
    sweep_toy()
    (first,) = {degree for degree, _ in kept(tmp_path)} or {0}
    output = sweep_toy("--seeds=3")
    found = kept(tmp_path)
    chosen = {row.params["degree"] for row in _marked(open_toy(tmp_path))}
    whole = [d for d in (1, 3, 5, 9) if {(d, seed) for seed in range(3)} <= found.keys()]
    assert first in whole or chosen & set(whole)
    if not {(d, s) for d in chosen for s in range(3)} <= found.keys():
        assert "no weights, which an earlier run did not keep. To train" in output
        sweep_toy("--seeds=3", "--keep=best")
    assert {(d, s) for d in chosen for s in range(3)} <= kept(tmp_path).keys()


def test_reused_trial_has_its_weights_in_the_original_sweep(
    tmp_path: Path, sweep_toy: Print
) -> None:
    sweep_toy("--keep=all", "--name=first")
    output = sweep_toy("--name=second")
    assert set(kept(tmp_path, "second").values()) == {"toy/first"}
    assert not files_of(tmp_path, "second")
    assert "toy/first/weights" in output
    assert "will run again" not in sweep_toy("--name=second", "--keep=all")
    row = open_toy(tmp_path, "second").rows()[0]
    assert "in toy/first" in describe_weights(open_toy(tmp_path, "second"), row)
    shutil.rmtree(tmp_path / "runs/toy/first/weights")
    assert "4 trials will run again" in sweep_toy("--name=second", "--keep=all")
    assert set(kept(tmp_path, "second").values()) == {"toy/second"}


def test_damaged_weights_are_named_and_can_be_replaced(tmp_path: Path, sweep_toy: Print) -> None:
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
    assert "1 trial will run again" in sweep_toy("--keep=best")
    assert store.read(row["trial_id"]) is not None


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path, sweep_toy: Print) -> None:
    sweep_toy()
    folder = tmp_path / "runs/toy/space/weights"
    before = files_of(tmp_path)
    (folder / "0123456789abcdef.safetensors").write_bytes(b"of no trial")
    (folder / "0123456789abcdef.safetensors.0a1b2c3d.tmp").write_bytes(b"half")
    sweep_toy()
    assert files_of(tmp_path) == before


def test_partial_run_keeps_its_candidates(tmp_path: Path, sweep_toy: Print) -> None:
    curves = FOUR.replace("'epochs': [1]", "'epochs': [3]")
    output = sweep_toy("--budget=2trials", "--seeds=2", space=curves)
    assert "are in" in output.split("Figures:")[1]
    assert "so far" in output
    assert len(files_of(tmp_path)) == 2
    assert "Kept the weights of" in sweep_toy("--seeds=2", space=curves)
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
def test_invalid_keep_is_refused(
    tmp_path: Path, options: tuple[str, ...], words: str, command: Print
) -> None:
    output = command("sweep", *options, "--engine=local", f"--out={tmp_path}/runs", status=2)
    assert words in " ".join(output.split())
    assert not (tmp_path / "runs").exists()
