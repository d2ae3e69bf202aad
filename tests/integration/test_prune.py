"""``prune``: what it removes, what it keeps, and what a crash leaves."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from harness import command as run
from prunable import crash_after, file_names, keep_weights, make_ended_sweep, set_age, sweep_names
from simulated import simulate

import orchestrator.pruning.remove as removal
from orchestrator.pruning.command import PruneRequest, prune, select
from orchestrator.saving.checkpoints import Checkpoints, TimedStep
from results.storage.reading import find_sweeps, known_trials, read_sweep
from results.storage.run_lock import run_lock
from results.storage.store import SweepStore
from results.storage.weights import WeightStore
from tasks.contract import RequestError, State, Step, StoreError


def checkpoint(out: Path, trial_id: str, folder: str = ".checkpoints", **params: Any) -> Path:
    from orchestrator.request import Request
    from orchestrator.running.plan import make_plan

    trial = make_plan(Request(task="toy", out=str(out))).trials[0]
    step = TimedStep(step=Step(at=1, metrics={"mse": 1.0}), seconds=1.0)
    Checkpoints(str(out / folder)).save(trial_id, State(values={"a": 1}), [step], trial)
    return out / folder / f"{trial_id}.safetensors"


# --- choosing -------------------------------------------------------------------------------------


def test_prune_removes_nothing_without_yes(tmp_path: Path) -> None:
    make_ended_sweep(tmp_path, "a")
    keep_weights(tmp_path, "a")
    before = file_names(tmp_path)
    for words in ((), ("--weights",), ("a", "--weights"), ("--sweeps",), ("a", "--sweeps")):
        assert "Nothing was removed." in run("prune", *words, "--out", str(tmp_path))
        assert file_names(tmp_path) == before
    output = run("prune", "toy/a", "--weights", "--out", str(tmp_path))
    assert "weights toy/a 2 2.0 kB" in output
    command = re.search(r"python -m orchestrator (prune .* --yes)", output)
    assert command
    assert "2.0 kB removed." in run(*shlex.split(command[1]))
    assert not (tmp_path / "toy" / "a" / "weights").exists()
    assert before - file_names(tmp_path) == {p for p in before if "/weights/" in p}
    assert "Nothing to remove" in run(*shlex.split(command[1]))


def test_sweep_is_removed_with_its_stages_and_checkpoints(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_ended_sweep(tmp_path, name)
        stage = tmp_path / ".stages" / "toy" / name / f"{'ab' * 8}.arrow"
        stage.parent.mkdir(parents=True)
        stage.write_bytes(b"x")
        checkpoint(tmp_path, "f" * 16, f".checkpoints/toy/{name}")
    run("prune", "a", "--sweeps", "--yes", "--out", str(tmp_path))
    assert sweep_names(tmp_path) == ["b"]
    assert not [p for p in file_names(tmp_path) if "toy/a/" in p]
    assert len([p for p in file_names(tmp_path) if p.startswith((".stages", ".checkpoints"))]) == 2
    run("prune", "--sweeps", "--yes", "--out", str(tmp_path))
    assert file_names(tmp_path) == set()


def test_age_and_size_select_sweeps(tmp_path: Path) -> None:
    for name in ("old", "new", "large"):
        make_ended_sweep(tmp_path, name)
    keep_weights(tmp_path, "large", 10**6)
    set_age(tmp_path / "toy" / "old", 40)
    set_age(tmp_path / "toy" / "large", 20)

    def chosen(*words: str) -> set[str]:
        output = run("prune", "--sweeps", *words, "--out", str(tmp_path))
        return {name for name in ("old", "new", "large") if f"toy/{name}" in output}

    assert chosen("--older-than", "30d") == {"old"}
    assert chosen("--older-than", "480h") == {"old", "large"}
    assert chosen("--larger-than", "1MB") == {"large"}
    assert chosen("--larger-than", "3MiB") == set()
    assert chosen("--larger-than", "1MB", "--older-than", "30d") == set()
    output = run("prune", "--weights", "--older-than", "30d", "--out", str(tmp_path))
    assert "Nothing to remove" in output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--yes",), "--yes requires a kind to remove: add --weights"),
        (("--weights", "--older-than", "30"), "--older-than takes a time such as"),
        (("--weights", "--larger-than", "big"), "--larger-than takes a size such as 500MB or 1GB"),
        (("a", "--cache", "x"), "--cache removes stages of all sweeps"),
        (("nope", "--weights"), "no sweep named 'nope'"),
    ],
)
def test_invalid_request_removes_nothing(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    make_ended_sweep(tmp_path, "a")
    before = file_names(tmp_path)
    assert message in run("prune", *words, "--out", str(tmp_path), status=2)
    assert file_names(tmp_path) == before


# --- keeping --------------------------------------------------------------------------------------


def test_results_reused_by_another_sweep_are_kept(tmp_path: Path) -> None:
    from orchestrator.request import Request
    from orchestrator.running.plan import make_plan
    from orchestrator.running.sweep import run_sweep

    for name in ("first", "second"):
        plan = make_plan(Request(task="toy", name=name, out=str(tmp_path), engine="local"))
        assert run_sweep(plan) == 0
    at = ("--out", str(tmp_path))
    for kind, removed in (("--weights", "them"), ("--sweeps", "it")):
        output = run("prune", "first", kind, *at)
        assert "Nothing to remove" in output
        assert "second" in output
        assert f"--needed removes {removed}" in output
        assert "toy/first" in run("prune", "first", kind, "--needed", *at)
    # It may be removed together with the sweep that reuses it.
    assert "Kept" not in run("prune", "first", "second", "--sweeps", *at)
    # It may be removed once the other sweep is gone.
    run("prune", "second", "--sweeps", "--yes", *at)
    run("prune", "first", "--weights", "--yes", *at)
    assert not WeightStore(str(tmp_path), "toy", "first").sizes()


def test_running_sweep_is_never_removed(tmp_path: Path) -> None:
    for name in ("runs", "other"):
        make_ended_sweep(tmp_path, name)
        keep_weights(tmp_path, name)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / f"{'0a' * 8}.arrow").write_bytes(b"x")
    sweep = read_sweep(str(tmp_path), "toy", "runs")
    before = file_names(tmp_path)
    at = ("--needed", "--yes", "--out", str(tmp_path))
    with run_lock(sweep.filesystem, sweep.path):
        for words in (("--sweeps",), ("--weights",), ("--cache", str(cache)), ("runs", "--sweeps")):
            output = run("prune", *words, *at)
            assert "Nothing to remove" in output
            assert "running" in output
        assert file_names(tmp_path) == before
        assert "running" in run("list", "--out", str(tmp_path))
    run("prune", "--sweeps", *at)
    assert sweep_names(tmp_path) == []


def test_recent_writes_without_a_lock_count_as_running(tmp_path: Path) -> None:
    simulate("toy", tmp_path, name="a")  # it has recorded no end
    assert "it may be running" in run("prune", "--sweeps", "--out", str(tmp_path))
    set_age(tmp_path / "toy" / "a", 0.1)
    assert "Kept" not in run("prune", "--sweeps", "--out", str(tmp_path))


def test_run_that_starts_during_prune_keeps_its_sweep(tmp_path: Path) -> None:
    make_ended_sweep(tmp_path, "a")
    set_age(tmp_path / "toy" / "a", 1)
    (item,) = select(PruneRequest(out=str(tmp_path), sweeps=True)).removed
    sweep = read_sweep(str(tmp_path), "toy", "a")
    with run_lock(sweep.filesystem, sweep.path):
        assert "a run of it has just started" in removal.remove(item)
    assert sweep_names(tmp_path) == ["a"]


def test_foreign_files_are_kept(tmp_path: Path) -> None:
    make_ended_sweep(tmp_path, "a")
    set_age(tmp_path / "toy" / "a", 1)
    (tmp_path / "toy" / "a" / "notes.txt").write_text("mine")
    (tmp_path / "toy" / "photos").mkdir()
    (tmp_path / "toy" / "photos" / "one.png").write_text("mine")
    output = run("prune", "--sweeps", "--yes", "--out", str(tmp_path))
    assert "it contains files that no sweep writes: notes.txt" in output
    assert file_names(tmp_path) == {"toy/a/notes.txt", "toy/photos/one.png"}


def test_only_stage_files_are_removed_from_a_cache(tmp_path: Path) -> None:
    stages = [tmp_path / f"{digit * 16}.safetensors" for digit in "ab"]
    for path in (*stages, tmp_path / "model.safetensors", tmp_path / "photo.png"):
        path.write_bytes(b"x" * 100)
    set_age(tmp_path, 3)
    os.utime(stages[0])
    words = ("--cache", str(tmp_path), "--older-than", "1d", "--out", str(tmp_path / "no"))
    run("prune", *words, "--yes")
    assert file_names(tmp_path) == {stages[0].name, "model.safetensors", "photo.png"}


def test_damaged_sweep_can_be_removed(tmp_path: Path) -> None:
    make_ended_sweep(tmp_path, "a")
    (tmp_path / "toy" / "a" / "sweep.json").write_text("{")
    set_age(tmp_path / "toy" / "a", 1)
    run("prune", "a", "--sweeps", "--yes", "--out", str(tmp_path))
    assert file_names(tmp_path) == set()


# --- checkpoints ----------------------------------------------------------------------------------


def test_checkpoints_of_unfinished_trials_are_kept(tmp_path: Path) -> None:
    sweep = make_ended_sweep(tmp_path, "a")
    finished = sweep.rows()[0]["trial_id"]
    left = checkpoint(tmp_path, finished)  # its driver was killed before the deletion
    search = checkpoint(tmp_path, finished, ".checkpoints/toy/a")
    gone = checkpoint(tmp_path, "e" * 16, ".checkpoints/toy/removed")
    manifest = tmp_path / "toy" / "a" / "sweep.json"
    manifest.write_text(manifest.read_text().replace('"num_trials": ', '"num_trials": 9'))
    to_finish = checkpoint(tmp_path, "d" * 16)  # no row: the driver was killed
    to_finish_search = checkpoint(tmp_path, "c" * 16, ".checkpoints/toy/a")
    set_age(tmp_path, 1)
    output = run("prune", "--checkpoints", "--yes", "--out", str(tmp_path))
    assert "checkpoints of toy/a (2 files" in output
    assert "their trials are not finished; --needed" in output
    assert not any(path.exists() for path in (left, search, gone))
    assert to_finish.exists()
    assert to_finish_search.exists()
    run("prune", "--checkpoints", "--needed", "--yes", "--out", str(tmp_path))
    assert not (tmp_path / ".checkpoints").exists()


# --- crashes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(0, 15, 2))
def test_crash_leaves_no_sweep_that_looks_complete(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = make_ended_sweep(tmp_path, "a")
    num_trials = len(sweep.rows())
    store = SweepStore(str(tmp_path), "toy", "a", {})
    for number_of_row in range(2):  # further parts, as a resumed run writes them
        store.add_tables({"trials": sweep.trials.slice(number_of_row, 1)})
    keep_weights(tmp_path, "a")
    set_age(tmp_path / "toy" / "a", 1)
    request = PruneRequest(out=str(tmp_path), sweeps=True, yes=True)
    with crash_after(number, monkeypatch):
        prune(request)
    if number == 0:
        assert len(read_sweep(str(tmp_path), "toy", "a").rows()) == num_trials
    elif number < 14:
        assert "toy/a" in run("prune", "--sweeps", "--out", str(tmp_path))
    if number:
        assert find_sweeps(str(tmp_path)) == []
        assert known_trials(str(tmp_path), "toy") == {}
    prune(request)  # continues where it stopped
    assert file_names(tmp_path) == set()


def test_file_that_cannot_be_removed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_ended_sweep(tmp_path, "a")
    set_age(tmp_path / "toy" / "a", 1)

    def refuse(filesystem: Any, path: str) -> None:
        with removal._explained(path):
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(removal, "_delete", refuse)
    with pytest.raises(StoreError, match=r"cannot remove .*sweep.json: Permission denied"):
        prune(PruneRequest(out=str(tmp_path), sweeps=True, yes=True))
    assert sweep_names(tmp_path) == ["a"]


def test_names_from_two_folders_are_refused(tmp_path: Path) -> None:
    for place in ("one", "two"):
        make_ended_sweep(tmp_path / place, "a")
    both = [f"{tmp_path}/{place}/toy/a" for place in ("one", "two")]
    assert "several folders" in run("prune", *both, "--sweeps", status=2)
    with pytest.raises(RequestError, match="--yes requires a kind to remove"):
        prune(PruneRequest(out=str(tmp_path / "one"), yes=True))
