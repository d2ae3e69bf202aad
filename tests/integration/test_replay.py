"""Replays: an archived sweep runs again, and its numbers are compared."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archives import json_change, read, reseal, write
from captioned_folder import draw_folder
from forked_commands import ForkedCommand
from harness import Done, Run, run_process
from harness import run_command as run
from paths import STORED

from orchestrator.environment import differences
from orchestrator.sharing.archive import archive_sweep
from results.storage.reading import read_sweep
from results.storage.store import encode_part

SIX = "GRID = {'level': list(range(6))}\n"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "stored.zip"
    archive_sweep(str(STORED), "toy", "stored", str(path))
    return path


def process(*words: object, cwd: Path) -> Done:
    """Run a command in a separate process, which also has the fragile task."""
    return run_process(*words, cwd=cwd, COLUMNS="200")


def change_rows(**values: Any) -> Callable[[Path], object]:
    """A change of columns of the first trial, with a manifest that fits."""

    def change(files: dict[str, bytes]) -> None:
        name = "toy/stored/trials/archived.parquet"
        rows = pq.read_table(io.BytesIO(files[name]))
        for column, value in values.items():
            cells = [value, *rows[column].to_pylist()[1:]]
            index = rows.schema.get_field_index(column)
            rows = rows.set_column(index, column, pa.array(cells, rows[column].type))
        files[name] = encode_part(rows, "toy", "stored")

    return lambda path: reseal(path, change)


# --- the same numbers elsewhere -------------------------------------------------------------------


def test_each_engine_reproduces_the_other(tmp_path: Path) -> None:
    """Retrieval: local, then Ray, then local, each from the archive of the previous one."""
    (tmp_path / "photos").mkdir()
    photos = draw_folder(tmp_path / "photos", train=16, val=12)
    (tmp_path / "space.py").write_text("GRID = {'lr': [1e-2, 1e-3], 'temperature': [0.1]}\n")
    words = ["sweep", "retrieval", "--space=space.py", f"--data=folder:{photos}", "--name=one"]
    words += ["--set=epochs=2", "--set=batch_size=8", "--engine=local", "--out=first"]
    assert process(*words, cwd=tmp_path).returncode == 0
    moved = tmp_path / "elsewhere"
    shutil.move(photos, moved)
    data = f"--data=folder:{moved}"
    archive = ("archive", "one", "one.zip", "--no-weights", "--out=first")
    assert process(*archive, cwd=tmp_path).returncode == 0
    done = process("replay", "one.zip", "--engine=local", "--out=second", cwd=tmp_path)
    assert done.returncode == 2, "the data are not where they were"
    assert "--data" in done.stderr
    ray = ("--engine=ray", "--cpus-per-trial=1", "--out=second")
    done = process("replay", "one.zip", *ray, data, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "archived one against one-replay: no difference" in done.stdout
    again = ("archive", "one-replay", "two.zip", "--out=second")
    assert process(*again, cwd=tmp_path).returncode == 0
    done = process("replay", "two.zip", "--engine=local", "--out=third", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    against = ("check", "one-replay-replay", "--against", "one.zip", "--out=third")
    done = process(*against, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "one-replay-replay against one: no difference" in done.stdout
    assert read_sweep(str(tmp_path / "second"), "retrieval", "one-replay").steps.num_rows == 4


def test_replay_report_equals_the_original(stored: Path, tmp_path: Path) -> None:
    assert run("replay", stored, "--engine=local", "--out", tmp_path / "out")[0] == 0
    ours = run("report", "stored-replay", "--out", tmp_path / "out")[1]
    theirs = run("report", "toy/stored", "--out", STORED)[1]
    parts = [text.partition("Shared work")[0].partition("\n")[2] for text in (ours, theirs)]
    assert "Claims of the paper" in parts[0]
    assert parts[0] == parts[1]
    manifest = read_sweep(str(tmp_path / "out"), "toy", "stored-replay").manifest
    assert manifest.replay_of is not None
    assert manifest.replay_of.name == "stored"
    assert manifest.command[3:] != read_sweep(str(STORED), "toy", "stored").manifest.command


def test_search_is_replayed_with_its_pruned_trials(tmp_path: Path) -> None:
    out, file = tmp_path / "out", tmp_path / "s.zip"
    search = ("--space=search", "--trials=9", "--sampler=random")
    assert run("sweep", "toy", "--engine=local", *search, "--out", out)[0] == 0
    name = "search-random"
    rows = read_sweep(str(out), "toy", name).rows()
    assert {row["status"] for row in rows} == {"finished", "stopped"}
    assert run("archive", name, file, "--out", out)[0] == 0
    status, output, _ = run("replay", file, "--engine=local", "--out", tmp_path / "there")
    assert status == 0, output
    again = read_sweep(str(tmp_path / "there"), "toy", f"{name}-replay").rows()
    ours, theirs = (
        {r["trial_id"]: (r["status"], r["num_steps"]) for r in x} for x in (again, rows)
    )
    assert ours == theirs
    assert run("replay", file, "--engine=local", "--out", tmp_path / "there")[0] == 0


def test_different_numbers_are_listed_and_exit_1(stored: Path, tmp_path: Path) -> None:
    change_rows(**{"metric.error": 0.5})(stored)
    words = ("replay", stored, "--engine=local", "--out", tmp_path / "out")
    status, out, _ = run(*words)
    assert status == 1
    assert "metric.error" in out.rpartition("archived stored")[2]
    assert run(*words, "--tolerance", "0.9")[0] == 0


# --- nothing is reused, and a killed replay resumes -----------------------------------------------


def test_killed_replay_resumes_and_reuses_nothing(tmp_path: Path) -> None:
    first = Run(tmp_path, "--engine=local", "--set=steps=8", "--set=seconds=0.1", space=SIX)
    first.end()
    totals = first.totals()
    done = process("archive", "fragile/s", "s.zip", "--out=out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    words = ("replay", "s.zip", "--engine=local", "--out=out", "--checkpoint-interval=0s")
    first.process = killed = ForkedCommand(*words, cwd=tmp_path)
    first.wait_for(lambda: len(first.find("step")) >= 48 + 20)
    killed.kill()
    killed.wait()
    done = process(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "archived s against s-replay: no difference" in done.stdout
    num_steps = len(first.find("step")) - 48
    assert 48 <= num_steps <= 48 + 6, "each step once more, and at most one of each trial twice"
    again = read_sweep(first.out, "fragile", "s-replay").rows()
    assert {(r["param.level"], 0, 0): r["metric.total"] for r in again} == totals
    done = process(*words, cwd=tmp_path)
    assert done.returncode == 0
    assert "Every trial of this sweep is already done" in done.stdout


def test_a_name_of_another_sweep_is_refused(stored: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("sweep", "toy", "--engine=local", "--name=mine", "--out", out)[0] == 0
    replay = ("replay", stored, "--engine=local", "--out", out)
    status, _, err = run(*replay, "--name=mine")
    assert status == 2
    assert (
        err
        == f"error: the sweep toy/mine exists and is not a replay of {stored}; use another --name\n"
    )
    assert run(*replay)[0] == 0
    sweep = ("sweep", "toy", "--engine=local", "--name=stored-replay", "--out", out)
    status, _, err = run(*sweep)
    assert status == 2
    assert "was started with the space replay, not paper" in err


# --- what cannot be replayed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_rows(seed=77), "gives another trial"),
        (
            change_rows(**{"param.degree": 40}),
            "do not fit this version of toy: `0 <= degree <= 12` must hold",
        ),
        (json_change(version="0"), "has no finished trial"),
        (
            json_change(model={"name": "cubic", "fingerprint": "1"}),
            "the only model of toy is 'polynomial'",
        ),
        (
            json_change(data={"name": "sine", "fingerprint": "2"}),
            "but the sweep ran on sine with 2",
        ),
    ],
    ids=["a seed", "a parameter", "a version", "a model", "data"],
)
def test_a_changed_sweep_is_refused_before_anything_runs(
    stored: Path, tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    change(stored)
    status, out, err = run("replay", stored, "--engine=local", "--out", tmp_path / "out")
    assert (status, out) == (2, "")
    assert message in " ".join(err.split())
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_another_version_of_the_task_is_refused(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.planning.discovery import load_task

    monkeypatch.setattr(type(load_task("toy")), "version", "2")
    status, _, err = run("replay", stored, "--engine=local", "--out", tmp_path / "out")
    assert status == 2
    assert "ran with version 1 of toy, but this is version 2; use the code that ran it" in err


def test_data_of_other_content_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    draw_folder(tmp_path / "one", train=4, val=4)
    draw_folder(tmp_path / "two", train=4, val=5)
    words = ("--set=epochs=0", "--set=batch_size=2", "--budget=1trials", "--out", tmp_path / "out")
    data = f"--data=folder:{tmp_path / 'one'}"
    assert run("sweep", "retrieval", "--engine=local", "--name=s", data, *words)[0] == 0
    archive = ("archive", "s", tmp_path / "s.zip", "--out", tmp_path / "out")
    assert run(*archive)[0] == 0
    other = ("--data", f"folder:{tmp_path / 'two'}", "--out", tmp_path / "there")
    status, _, err = run("replay", tmp_path / "s.zip", "--engine=local", *other)
    assert status == 2
    assert "has the content hash" in err
    assert "pass the same data with --data" in err


def test_a_task_that_is_not_installed_is_named(stored: Path, tmp_path: Path) -> None:
    def change(files: dict[str, bytes]) -> None:
        for name in list(files):
            files[name.replace("toy/", "toys/")] = files.pop(name)
        manifest = json.loads(files["toys/stored/sweep.json"]) | {"task": "toys"}
        files["toys/stored/sweep.json"] = json.dumps(manifest).encode()

    import hashlib

    from results.archive.files import MANIFEST

    files = read(stored)
    facts = json.loads(files.pop(MANIFEST)) | {"task": "toys"}
    change(files)
    facts["files"] = {
        name: {"bytes": len(blob), "sha256": hashlib.sha256(blob).hexdigest()}
        for name, blob in files.items()
    }
    write(stored, files | {MANIFEST: json.dumps(facts).encode()})
    status, _, err = run("replay", stored, "--engine=local", "--out", tmp_path / "out")
    assert status == 2
    assert "toys" in err


def test_different_versions_are_one_line(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"python": "3.11.7", "torch": "2.0", "numpy": "1.0"}
    monkeypatch.setattr(
        differences, "distributions", lambda: (tuple(f"{k}=={v}" for k, v in here.items()), ())
    )
    manifest = read_sweep(str(STORED), "toy", "stored").manifest
    (line,) = differences.environment_differences(dataclasses.replace(manifest, git=None))
    then = manifest.versions
    assert line.startswith("Recorded with ")
    assert f"torch {then['torch']} (here 2.0), transformers" in line
    assert f"numpy {then['numpy']} (here 1.0)" in line
    assert line.endswith("numbers may differ.")
