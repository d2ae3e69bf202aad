"""``verify``: a sample of trials runs again, each with a verdict."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from forked_commands import ForkedCommand
from harness import Run, run_process
from harness import command as run
from simulated import simulate, simulate_retrieval

from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from orchestrator.running.sweep import run_sweep
from orchestrator.saving.checkpoints import Checkpoints, TimedStep
from orchestrator.sharing.verify import sample_rows
from results.compare.verification import MAX_FLIPPED, verify_trials
from results.storage.reading import Sweep, read_sweep
from results.storage.store import SweepStore
from tasks.contract import RequestError, State, Step


def toy(out: Path, **request: Any) -> Sweep:
    """A real sweep of the toy task."""
    plan = make_plan(Request(task="toy", name="s", out=str(out), engine="local", **request))
    assert run_sweep(plan) == 0
    return read_sweep(str(out), "toy", "s")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def change(sweep: Sweep, table: str, edit: Callable[[list[dict[str, Any]]], None]) -> None:
    """Rewrite rows of a table, as a forger would."""
    rows: pa.Table = getattr(sweep, table)
    edited = rows.to_pylist()
    edit(edited)
    task, name = sweep.path.split("/")[-2:]
    store = SweepStore(str(Path(sweep.path).parents[1]), task, name, {})
    store.add_tables({table: pa.Table.from_pylist(edited, schema=rows.schema)})


def test_verify_agrees_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = toy(tmp_path / "out")
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    trial_id = sweep.rows()[0]["trial_id"]
    step = TimedStep(step=Step(at=1, metrics={"mse": 9.0}), seconds=1.0)
    Checkpoints(str(tmp_path / "out" / ".checkpoints")).save(trial_id, State(), [step])
    before = contents(tmp_path / "out")
    at = ("--engine", "local", "--out", str(tmp_path / "out"))
    output = run("verify", "s", "--share", "1", *at)
    number = len(sweep.rows())
    assert f"{number} of {number} finished trials ran again: all agree" in output
    assert output.count("all equal") == number
    assert contents(tmp_path / "out") == before
    assert list(scratch.iterdir()) == []
    one = run("verify", "toy/s", "--share", "0.001", *at)
    assert f"1 of {number} finished trials ran again: it agrees" in one


def test_changed_number_is_found_with_environment_differences(tmp_path: Path) -> None:
    sweep = toy(tmp_path)
    victim = sweep.rows()[1]["trial_id"]

    def edit(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            if row["trial_id"] == victim:
                row["metric.error"] += 1e-3

    change(sweep, "trials", edit)
    at = ("--share", "1", "--engine", "local", "--out", str(tmp_path))
    output = run("verify", "s", *at, status=1)
    number = len(sweep.rows())
    assert f"1 of {number} differ" in output
    assert f"{victim[:8]} metric.error" in output
    assert "The environment: no difference is recorded" in output
    assert "all agree" in run("verify", "s", "--tolerance", "0.01", *at)
    manifest = tmp_path / "toy" / "s" / "sweep.json"
    text = json.loads(manifest.read_text())
    text["versions"]["numpy"] = "1.0.0"
    manifest.write_text(json.dumps(text))
    output = run("verify", "s", *at, status=1)
    assert "The environment: what differs" in output
    assert "numpy 1.0.0" in output


def test_ray_verifies_a_local_sweep(tmp_path: Path) -> None:
    toy(tmp_path)
    words = ["verify", "s", "--share", "0.5", "--engine", "ray", "--out", str(tmp_path)]
    done = run_process(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all agree" in done.stdout


@pytest.mark.parametrize("number", [1, 2])
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    space = "GRID = {'level': [0], 'steps': [40], 'seconds': [0.05]}\n"
    sweep = Run(tmp_path, "--engine", "local", space=space)
    sweep.end()
    path = tmp_path / "out" / "fragile" / "s" / "sweep.json"
    assert path.exists()
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    words = ("verify", "s", "--engine", "local", "--out", sweep.out)
    process = ForkedCommand(*words, environment={"TMPDIR": str(scratch)})
    deadline = time.monotonic() + 90
    while not list(scratch.glob("orchestrator-verify-*/.checkpoints/*.safetensors")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    for _ in range(number):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    _, output = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert list(scratch.iterdir()) == []


def test_sample_depends_on_the_seed(tmp_path: Path) -> None:
    sweep = simulate("retrieval", tmp_path, name="s", seeds=3)

    def ids(share: float, seed: int) -> list[str]:
        return [row["trial_id"] for row in sample_rows(sweep, share, seed)]

    number = len(sweep.rows())
    assert ids(0.5, 0) == ids(0.5, 0)
    assert ids(0.5, 0) != ids(0.5, 1)
    assert len(ids(0.5, 0)) == -(-number // 2)
    assert len(ids(1e-9, 0)) == 1
    assert sorted(ids(1, 7)) == sorted(row["trial_id"] for row in sweep.rows())
    change(sweep, "trials", lambda rows: None)
    assert ids(0.5, 0) == [r["trial_id"] for r in sample_rows(sweep, 0.5, 0)]


def flipped(out: Path, number: int) -> tuple[Sweep, Sweep]:
    """A sweep, and the same one with this number of changed ranks in each trial."""
    scores = {"score": lambda params: 0.5, "num_units": 400}
    first = simulate_retrieval(out / "a", name="s", **scores)  # type: ignore[arg-type]
    second = simulate_retrieval(out / "b", name="s", **scores)  # type: ignore[arg-type]

    def edit(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["rank"] += row["query"] < number

    def shift(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["metric.i2t_r1"] += number / 400

    change(second, "samples", edit)
    change(second, "trials", shift)
    return first, read_sweep(str(out / "b"), "retrieval", "s")


MOST_FLIPS = int(MAX_FLIPPED * 400)


@pytest.mark.parametrize(
    ("number", "agrees"), [(0, True), (1, True), (MOST_FLIPS, True), (MOST_FLIPS + 1, False)]
)
def test_few_flipped_samples_agree_and_are_counted(
    tmp_path: Path, number: int, agrees: bool
) -> None:
    verdicts = verify_trials(*flipped(tmp_path, number), 1e-4)
    assert {each.agrees for each in verdicts} == {agrees}
    counted = f"{number} of 400 samples flipped" if number else "all equal"
    assert all(counted in each.text for each in verdicts)


def test_changed_metrics_without_flips_do_not_agree(tmp_path: Path) -> None:
    first, second = flipped(tmp_path, 0)

    def shift(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["metric.i2t_r1"] += 1e-3

    change(second, "trials", shift)
    second = read_sweep(str(tmp_path / "b"), "retrieval", "s")
    assert not any(each.agrees for each in verify_trials(first, second, 1e-4))
    assert all(each.agrees for each in verify_trials(first, second, 2e-3))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("s", "--share", "0"), "--share must be above 0 and at most 1, but is 0"),
        (("s", "--share", "1.5"), "--share must be above 0"),
        (("s", "--tolerance", "-1"), "--tolerance must be at least 0 and below 1"),
        (("s", "--engine", "slurm"), "--engine takes ray or local, but got 'slurm'"),
        (("nope",), "no sweep named 'nope'"),
    ],
)
def test_a_wrong_request_is_one_line(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    simulate("toy", tmp_path, name="s")
    assert message in run("verify", *words, "--out", str(tmp_path), status=2)


def test_changed_data_is_refused(tmp_path: Path) -> None:
    from captioned_folder import draw_folder

    data = tmp_path / "photos"
    data.mkdir()
    draw_folder(data, train=4, val=8)
    plan = make_plan(
        Request(
            task="captioning",
            name="s",
            data=f"folder:{data}",
            settings=("num_images=4",),
            out=str(tmp_path / "out"),
            engine="local",
        )
    )
    assert run_sweep(plan) == 0
    at = ("--engine", "local", "--out", str(tmp_path / "out"))
    assert "agrees" in run("verify", "s", *at)
    lines = (data / "val" / "captions.jsonl").read_text().replace("a ", "one ")
    (data / "val" / "captions.jsonl").write_text(lines)
    assert "has changed since the sweep" in run("verify", "s", *at, status=2)


def test_a_sweep_without_results_is_refused(tmp_path: Path) -> None:
    sweep = simulate("toy", tmp_path, name="s")
    for part in Path(sweep.path, "trials").iterdir():
        part.unlink()
    with pytest.raises(RequestError, match="no trial of s finished"):
        sample_rows(read_sweep(str(tmp_path), "toy", "s"), 0.1, 0)
