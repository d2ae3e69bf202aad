"""``cancel`` for a sweep that no process runs: the next run skips the trial."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from harness import run_command
from json_documents import check_document

from orchestrator.execution.halting import Budget
from orchestrator.running import run as run_module
from results.storage.reading import read_sweep

SEARCH = """
def search(trial):
    return {"lr": trial.suggest_float("lr", 1e-3, 1.0, log=True), "epochs": 3}
"""
GRID = "GRID = {'lr': [0.01, 0.02, 0.03, 0.04], 'epochs': [3]}\n"


class Sweeper:
    """Runs one sweep of the toy task again and again in this process."""

    def __init__(self, folder: Path, space: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.out, self._monkeypatch = folder / "runs", monkeypatch
        (folder / "s.py").write_text(space)
        options = ("--engine", "local", "--checkpoint-interval", "0s", "--name", "s")
        self._words = ("sweep", "toy", "--space", folder / "s.py", *options, "--out", self.out)

    def run(self, *more: str) -> None:
        done = run_command(*self._words, *more)
        assert done.returncode == 0, done.stdout + done.stderr

    def interrupt(self, *more: str) -> None:
        """Run until a trial has a checkpoint."""
        checkpoints = self.out / ".checkpoints"

        class Interrupting(Budget):
            seen: ClassVar[list[Path]] = []

            def __call__(self) -> bool:
                self.seen.extend(checkpoints.rglob("*.safetensors"))
                self.interrupted = bool(self.seen)
                return self.interrupted

        with self._monkeypatch.context() as patch:
            patch.setattr(run_module, "Budget", Interrupting)
            assert run_command(*self._words, *more).returncode == 130

    def cancel(self, trial: str, *more: str, status: int = 0) -> Mapping[str, Any]:
        done = run_command("cancel", "s", trial, *more, "--out", self.out, "--json")
        assert done.returncode == status, done.stdout + done.stderr
        return check_document(done.stdout, "cancel", status)

    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["trial_id"]: row for row in read_sweep(str(self.out), "toy", "s").rows()}

    def planned(self) -> list[str]:
        plans = check_document(run_command(*self._words, "--dry-run", "--json").stdout, "sweep", 0)[
            "plans"
        ]
        return [trial["trial_id"] for trial in plans[0]["trials"]]


def test_next_run_skips_an_interrupted_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = Sweeper(tmp_path, GRID, monkeypatch)
    sweep.interrupt()
    file = next(sweep.out.glob(".checkpoints/*.safetensors"))
    assert sweep.rows()[file.stem]["status"] == "interrupted"
    (answer,) = sweep.cancel(file.stem[:12], "--reason", "too\nslow")["answers"]
    assert (answer["host"], answer["pid"], answer["done"]) == (None, None, True)
    assert answer["trial_id"] == file.stem
    row = sweep.rows()[file.stem]
    assert (row["status"], row["reason"], row["num_steps"]) == ("cancelled", "too slow", 1)
    assert not file.exists()
    sweep.run()
    assert sweep.rows()[file.stem] == row
    steps = read_sweep(str(sweep.out), "toy", "s").steps["trial_id"].to_pylist()
    assert (steps.count(file.stem), len(steps)) == (1, 10)
    assert len(sweep.rows()) == 4
    sweep.run("--retry-cancelled")
    assert [row["status"] for row in sweep.rows().values()] == ["finished"] * 4


def test_next_run_skips_a_trial_that_had_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = Sweeper(tmp_path, GRID, monkeypatch)
    sweep.run("--budget", "2trials")
    unstarted = next(each for each in sweep.planned() if each not in sweep.rows())
    sweep.cancel(unstarted)
    assert sweep.rows()[unstarted]["reason"].startswith("cancelled by ")
    sweep.run()
    rows = sweep.rows()
    assert [i for i, row in rows.items() if row["status"] == "cancelled"] == [unstarted]
    assert len(rows) == 4


def test_only_unfinished_trials_can_be_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = Sweeper(tmp_path, GRID, monkeypatch)
    sweep.run("--budget", "2trials")
    before = sweep.rows()
    for text in (next(iter(before)), "no-such-trial"):
        message = sweep.cancel(text, status=2)["error"]["message"]
        assert message.startswith(f"toy/s is not running: no unfinished trial starts with '{text}'")
    assert "2 unfinished trials start with ''" in sweep.cancel("", status=2)["error"]["message"]
    assert sweep.rows() == before


def test_interrupted_configuration_of_a_search_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = Sweeper(tmp_path, SEARCH, monkeypatch)
    search = ("--sampler", "random", "--trials", "3")
    sweep.interrupt(*search)
    (cut,) = sweep.rows()
    sweep.cancel(cut)
    sweep.run(*search)
    rows = sweep.rows()
    assert len(rows) == 3
    assert {trial_id for trial_id, row in rows.items() if row["status"] == "cancelled"} == {cut}
    assert rows[cut]["param.lr"] not in {
        row["param.lr"] for trial_id, row in rows.items() if trial_id != cut
    }


def test_sweep_that_cannot_be_planned_again_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = Sweeper(tmp_path, GRID, monkeypatch)
    sweep.run("--budget", "1trials")
    (tmp_path / "s.py").unlink()
    message = sweep.cancel("a", status=2)["error"]["message"]
    assert message.startswith("toy/s is not running, and its trials are not known without its ")
    assert message.endswith("; run it again and cancel the trial then")
