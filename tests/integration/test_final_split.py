"""``--final``: chosen on val, scored once on test, with every look recorded."""

from __future__ import annotations

import csv
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from buckets import BUCKET, serve
from captioned_folder import draw_folder
from harness import command as run
from paths import PLUGIN, ROOT

import orchestrator.running.final_trials as scoring
from orchestrator.request import Request
from orchestrator.running.execute import run_trials
from orchestrator.running.plan import make_plan
from orchestrator.running.run import Run
from orchestrator.saving.checkpoints import Checkpoints
from results.storage.reading import Sweep, read_sweep
from results.tables.looks import Look, read_looks

SMALL = ("--set", "batch_size=8", "--engine", "local")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A few drawn scenes of each split, with a test split."""
    folder = tmp_path_factory.mktemp("photos")
    return f"folder:{draw_folder(folder, train=24, val=24, test=32)}"


@pytest.fixture(scope="module")
def untested(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"folder:{draw_folder(tmp_path_factory.mktemp('two'), train=16, val=8)}"


def sweep(task: str, data: str, out: Path | str, *words: str, status: int = 0) -> str:
    more = ("--data", data, "--out", str(out), "--name", "s", *words)
    if task == "retrieval":
        space = ROOT / "tests" / "data" / "final_grid.py"
        more = ("--space", str(space), *SMALL, *more)
    return run("sweep", task, *more, status=status)


def read(out: Path | str, task: str) -> Sweep:
    return read_sweep(str(out), task, "s")


def looks(out: Path | str, task: str = "retrieval") -> list[Look]:
    return read_looks(read(out, task))


def values(out: Path | str, task: str, metric: str) -> dict[str, float]:
    """The metric, by the parameters that vary."""
    names = ("param.lr", "param.epochs") if task == "retrieval" else ("param.decoding",)
    rows = read(out, task).rows()
    return {str([row[name] for name in names]): row[f"metric.{metric}"] for row in rows}


@pytest.fixture(scope="module")
def done(data: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A complete sweep with one look, and the output of its command."""
    out = tmp_path_factory.mktemp("done")
    return out, sweep("retrieval", data, out, "--keep", "all", "--final", "test")


def test_kept_weights_give_the_scores_of_training(
    done: tuple[Path, str], data: str, tmp_path: Path
) -> None:
    """A sweep that evaluates on test trains the same weights."""
    sweep("retrieval", data, tmp_path, "--set", "split=test")
    expected = values(tmp_path, "retrieval", "i2t_r1")
    found = read(done[0], "retrieval")
    rows = {row["trial_id"]: row for row in found.rows()}
    (look,) = looks(done[0])
    assert look.ended
    assert look.split == "test"
    assert set(look.trials) == {t for row in look.rows for t in row.trial_ids}
    assert len(look.rows) > 1  # some differ only in their epochs
    for row in look.rows:
        trained = rows[row.trial_ids[0]]
        key = str([trained["param.lr"], trained["param.epochs"]])
        assert row.test == pytest.approx(expected[key], abs=1e-6)
        assert row.val == trained["metric.i2t_r1"]
        assert row.metrics["metric.i2t_r1"] == row.test


def test_both_splits_are_shown_at_once_and_later(done: tuple[Path, str], tmp_path: Path) -> None:
    out, output = done
    for text in (output, run("report", "s", "--out", str(out))):
        assert "The best on test" in text
        assert "(val - test)" in text
        assert "Selection optimism of" in text
        assert "The queries of the two splits are not paired" in text
        assert "This is look" not in text
    run(
        "report",
        "s",
        "--format",
        "csv",
        "--table",
        "final",
        "--to",
        f"{tmp_path}/f.csv",
        "--out",
        str(out),
    )
    with (tmp_path / "f.csv").open() as file:
        records = list(csv.DictReader(file))
    (look,) = looks(out)
    assert [float(r["value"]) for r in records] == [row.test for row in look.rows]
    assert {r["split"] for r in records} == {"test"}
    assert not (out / "retrieval" / "s" / ".final").exists()


def test_second_look_is_counted_and_equal_on_ray(
    done: tuple[Path, str], data: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(done[0], out)
    (first,) = looks(out)
    output = sweep("retrieval", data, out, "--final", "test", "--engine", "ray")
    assert "This is look 2 at the test split; the first was on" in output
    assert first.began[:10] in output
    both = looks(out)
    assert len(both) == 2
    assert both[0] == first
    for one, other in zip(first.rows, both[1].rows, strict=True):
        assert one.test == pytest.approx(other.test, abs=1e-4)
        assert one.trial_ids == other.trial_ids
    assert "--final" in both[1].command
    assert "This is look 2 at the test split" in run("report", "s", "--out", str(out))


def test_final_scores_the_best_captions(data: str, tmp_path: Path) -> None:
    small = ("--set", "num_images=8", "--engine", "local", "--space", "paper")
    output = sweep("captioning", data, tmp_path / "a", *small, "--final", "test")
    assert "The best on test" in output
    sweep("captioning", data, tmp_path / "b", *small, "--set", "split=test")
    expected = {
        json.dumps(
            {k: v for k, v in row.items() if k.startswith("param.") and k != "param.split"}
        ): row["metric.bleu4"]
        for row in read(tmp_path / "b", "captioning").rows()
    }
    rows = {row["trial_id"]: row for row in read(tmp_path / "a", "captioning").rows()}
    (look,) = looks(tmp_path / "a", "captioning")
    for row in look.rows:
        chosen = rows[row.trial_ids[0]]
        key = {k: v for k, v in chosen.items() if k.startswith("param.") and k != "param.split"}
        assert row.test == pytest.approx(expected[json.dumps(key)])


@pytest.mark.parametrize(
    ("task", "words", "message"),
    [
        ("retrieval", ("--final", "test"), "has only the splits train, val; add test"),
        ("captioning", ("--final", "test"), "has only the splits train, val; add test"),
        ("retrieval", ("--final", "train"), "but trials train on it"),
        ("retrieval", ("--final", "val"), "but it already chooses the best row"),
    ],
)
def test_a_split_that_cannot_be_scored_is_refused_before_anything_runs(
    untested: str, tmp_path: Path, task: str, words: tuple[str, ...], message: str
) -> None:
    assert message in sweep(task, untested, tmp_path, *words, status=2)
    assert list(tmp_path.iterdir()) == []


def test_final_is_refused_for_unsuitable_tasks_and_options(data: str, tmp_path: Path) -> None:
    at = ("--out", str(tmp_path))
    output = run("sweep", "diffusion", "--final", "test", *at, status=2)
    assert "diffusion has no test split" in output
    output = run("sweep", "toy", "--final", "test", *at, status=2)
    assert "toy cannot score another split, because it has no method `final`" in output
    output = sweep("retrieval", data, tmp_path, "--final", "test", "--keep", "none", status=2)
    assert "--final test requires kept weights; remove --keep none" in output
    assert list(tmp_path.iterdir()) == []


def test_missing_or_damaged_weights_do_not_count_as_a_look(data: str, tmp_path: Path) -> None:
    sweep("retrieval", data, tmp_path, "--keep", "none")
    output = sweep("retrieval", data, tmp_path, "--final", "test", status=2)
    assert "the weights of the best row were not kept; run the command with --keep best" in output
    assert looks(tmp_path) == []
    sweep("retrieval", data, tmp_path, "--keep", "best", "--final", "test")
    assert len(looks(tmp_path)) == 1
    for path in (tmp_path / "retrieval" / "s" / "weights").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    output = sweep("retrieval", data, tmp_path, "--final", "test", status=2)
    assert "weights" in output
    assert "damaged" in output
    assert len(looks(tmp_path)) == 1
    (tmp_path / "retrieval" / "s" / "looks.json").write_text("{")
    output = sweep("retrieval", data, tmp_path, "--final", "test", status=2)
    assert "looks.json cannot be read" in output


def test_an_unfinished_sweep_is_not_scored(data: str, tmp_path: Path) -> None:
    output = sweep("retrieval", data, tmp_path, "--final", "test", "--budget", "1trial")
    assert "The sweep is not complete, so --final test did not run" in output
    assert looks(tmp_path) == []


def test_trackers_get_only_the_trials_of_the_sweep(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(PLUGIN))
    output = sweep("retrieval", data, tmp_path / "out", "--track", "noting", "--final", "test")
    assert "Scoring" in output
    assert output.count("Tracking with noting") == 1
    lines = (tmp_path / "tracked").read_text().splitlines()
    assert [line.split()[0] for line in lines].count("open") == 1
    assert not list((tmp_path / "out/retrieval/s").glob(".final*"))


def test_pause_holds_final_trials(tmp_path: Path) -> None:
    outer = Run(make_plan(Request(task="toy", engine="local", out=str(tmp_path / "outer"))))
    plan = make_plan(Request(task="toy", engine="local", out=str(tmp_path / "inner")))
    parts: list[Path] = []

    def resume() -> None:
        parts.extend((tmp_path / "inner").rglob("*.parquet"))
        outer.steering.resume()

    outer.steering.pause()
    timer = threading.Timer(0.5, resume)
    timer.start()
    scored = run_trials(plan, outer)
    timer.join()
    assert parts == []
    assert scored is not None
    assert len(scored.rows()) == 4
    outer.budget.interrupted = True  # by `stop`
    assert run_trials(plan, outer) is None


def test_stop_after_the_last_trial_is_no_look(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(run: Run, *args: Any, **options: Any) -> int:
        run.budget.interrupted = True
        return 0

    monkeypatch.setattr("orchestrator.running.sweep.print_results", stop)
    output = sweep("retrieval", data, tmp_path, "--final", "test", status=130)
    assert "Interrupted, so --final test did not run." in output
    assert looks(tmp_path) == []


def test_interrupted_look_counts(
    data: str, done: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep("retrieval", data, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "run_trials", lambda plan, within: None)
        output = sweep("retrieval", data, tmp_path, "--final", "test", status=130)
        assert "The look is recorded without values" in output
    assert [look.ended for look in looks(tmp_path)] == [None]
    assert "The best on test" not in run("report", "s", "--out", str(tmp_path))
    output = sweep("retrieval", data, tmp_path, "--final", "test")
    assert "This is look 2 at the test split; the first was on" in output
    assert "which was interrupted" in output


def test_worker_without_the_weights_gives_no_score(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep("retrieval", data, tmp_path)
    monkeypatch.setattr(Checkpoints, "save", lambda *args: None)
    output = sweep("retrieval", data, tmp_path, "--final", "test", status=2)
    assert "a worker could not read the kept weights" in output
    assert not any(look.rows for look in looks(tmp_path))


@pytest.fixture
def bucket() -> Iterator[str]:
    with serve():
        yield f"s3://{BUCKET}/runs"


def test_final_in_a_bucket(data: str, bucket: str) -> None:
    output = sweep("retrieval", data, bucket, "--final", "test")
    assert "The best on test" in output
    (look,) = looks(bucket)
    assert look.rows
