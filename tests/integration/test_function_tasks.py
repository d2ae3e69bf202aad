"""A function of a file as a task of the command, on both engines."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from harness import command, run_command, run_process

from orchestrator.saving.checkpoints import Checkpoints
from results.storage.reading import Sweep, read_sweep

HELPER = """
import os, time
from pathlib import Path

def note(folder, what):
    \"\"\"Leave a note that this was computed, and by which process.\"\"\"
    (Path(folder) / f"{what}-{os.getpid()}-{time.monotonic_ns()}").touch()
"""
TRAIN = """
import os
import signal
from pathlib import Path

import numpy as np

import orchestrator as orc
from noting import note

GRID = {"lr": [0.05, 0.2]}


def draw(notes: str, split: str) -> dict[str, np.ndarray]:
    note(notes, f"stage.{split}")
    rng = np.random.default_rng(len(split))
    return {"x": rng.uniform(-1, 1, 40)}


@orc.task(metric="error", maximize=False, columns=["epoch_of_weights"])
def fit(
    lr: float = 0.1,
    epochs: int = 3,
    notes: str = "",
    kill_at: int = 0,
    *,
    seed: int,
    train=orc.shared(draw, split="train"),
    val=orc.shared(draw, split="val"),
):
    '''Shrink a weight.'''
    state = orc.checkpoint({"epoch": 0, "w": np.full(2, 1.0 + seed)})
    while state["epoch"] < epochs:
        state["epoch"] += 1
        note(notes, f"epoch.{state['epoch']}.{lr}.{seed}")
        state["w"] = state["w"] - lr * state["w"] * (1 + train["x"].mean())
        if state["epoch"] == kill_at and not Path(notes, "killed").exists():
            Path(notes, "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        errors = (state["w"][0] * val["x"]) ** 2
        orc.samples(error=errors)
        yield {"error": errors.mean(), "epoch_of_weights": state["epoch"]}
"""


class Case:
    """A folder with the function, its notes and its results."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.notes, self.out = folder, folder / "notes", folder / "runs"
        self.notes.mkdir()
        (folder / "noting.py").write_text(HELPER)
        (folder / "trainer.py").write_text(TRAIN)

    def words(self, *more: str) -> list[str]:
        words = ["sweep", f"{self.folder / 'trainer.py'}:fit", "--out", str(self.out)]
        words += ["--checkpoint-interval=0s", f"--set=notes={self.notes}", "--name=s", *more]
        return words

    def noted(self, what: str) -> list[str]:
        return sorted(
            path.name.partition("-")[0] for path in self.notes.iterdir() if what in path.name
        )

    def sweep(self) -> Sweep:
        return read_sweep(str(self.out), "fit", "s")

    def errors(self) -> dict[tuple[float, int], float]:
        return {
            (row["param.lr"], row["seed"]): row["metric.error"]
            for row in self.sweep().rows()
            if row["status"] == "finished"
        }


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


@pytest.fixture(autouse=True)
def _no_imports_of_other_tests() -> Iterator[None]:
    path = list(sys.path)
    yield
    forget(path)


def forget(path: Sequence[str]) -> None:
    """Have this process import the function anew, as another one would."""
    sys.path[:] = path
    for name in ("trainer", "noting"):
        sys.modules.pop(name, None)


def test_the_command_runs_a_function_with_its_own_space(
    case: Case, capfd: pytest.CaptureFixture[str]
) -> None:
    output = command(*case.words("--engine=local", "--space=grid", "--seeds=2"))
    assert "fit: s, 2 configurations, best first" in output
    assert "≈" in output or "every other row is significantly worse" in output
    assert "paired by sample, over samples and seeds" in output
    assert "2 stages computed" in output
    assert case.noted("stage") == ["stage.train", "stage.val"]
    printed = capfd.readouterr().out
    assert re.search(r"shared stage 1/2 computed in [\d.]+ s: draw\(split=train\)", printed)
    assert case.sweep().samples.num_rows == 4 * 40
    assert "param.lr" in case.sweep().trials.column_names


def test_a_trial_that_was_killed_goes_on_from_its_checkpoint(case: Case, tmp_path: Path) -> None:
    args = ("--engine=local", "--set=lr=0.1", "--set=kill_at=3", "--set=epochs=4")
    killed = run_process(*case.words(*args))
    assert killed.returncode == -9
    assert Checkpoints(str(case.out / ".checkpoints")).trial_ids()
    output = command(*case.words(*args))
    assert "Resuming 1 trial from checkpoints" in output
    epochs = [f"epoch.{n}.0.1.0" for n in (1, 2, 3, 3, 4)]
    assert case.noted("epoch") == epochs
    assert case.noted("stage") == ["stage.train", "stage.val"]  # kept by the run that was killed
    rows = case.sweep().steps_of(case.sweep().rows()[0]["trial_id"])
    assert [row["metric.epoch_of_weights"] for row in rows] == [1, 2, 3, 4]
    (tmp_path / "whole").mkdir()
    whole = Case(tmp_path / "whole")
    forget(sys.path[1:])
    command(*whole.words("--engine=local", "--set=lr=0.1", "--set=epochs=4"))
    assert whole.errors() == case.errors()


def test_ray_runs_it_with_the_same_numbers(case: Case, tmp_path: Path) -> None:
    """Workers import the file and its helper; each shared stage is computed once for all."""
    done = run_process(*case.words("--space=grid", "--seeds=2"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert case.noted("stage") == ["stage.train", "stage.val"]
    (tmp_path / "local").mkdir()
    local = Case(tmp_path / "local")
    command(*local.words("--engine=local", "--space=grid", "--seeds=2"))
    assert case.errors() == local.errors()
    assert len(case.errors()) == 4


SCRIPT = """
import orchestrator as orc

SCALE = 2.0
def base(x: float):
    return {"value": [x * SCALE]}

@orc.task(metric="error", maximize=False)
def fit(lr: float = 0.1, *, seed: int, data=orc.shared(base, x=3.0)):
    import noting
    yield {"error": lr * SCALE + seed + data["value"][0] + len(noting.__name__)}

if __name__ == "__main__":
    sweep = orc.sweep(fit, {"lr": [0.1, 0.2]}, seeds=2, engine="ray", out="runs")
    print(sorted(sweep.trials["metric.error"].to_pylist()))
"""


def test_ray_runs_a_function_of_a_script(case: Case) -> None:
    """It exists in no module that a worker could import, but a module beside it does."""
    (case.folder / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=case.folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "[12.2, 12.4, 13.2, 13.4]"


def test_another_metric_judges_the_same_trials(case: Case) -> None:
    args = ("--engine=local", "--space=grid")
    command(*case.words(*args))
    output = command(*case.words(*args, "--metric=epoch_of_weights", "--maximize"))
    assert "Every trial of this sweep is already done" in output
    assert case.sweep().manifest.metric.direction == "maximize"


def test_a_dry_run_lists_trials_and_shared_work(case: Case) -> None:
    output = command(*case.words("--engine=local", "--space=grid", "--dry-run"))
    assert "2 trials, 0 of them done; 2 distinct stages" in output
    assert "split=train" in output
    assert not case.out.exists()


def test_errors_of_the_command(case: Case) -> None:
    file = str(case.folder / "trainer.py")
    for words, message in (
        (("sweep", file), f"write --space {file}, or {file}:FUNCTION to sweep a function of it"),
        (("sweep", f"{file}:fitt"), "defines no function 'fitt'; did you mean 'fit'?"),
        (("sweep", f"{file}:draw"), "the function draw does not declare its metric"),
        (("sweep", f"{file}:fit", "--set", "lrr=1"), "fit has no parameter 'lrr'"),
        (("sweep", f"{file}:fit", "--model", "x"), "the only model of fit is 'none'"),
        (("sweep", f"{file}:fit", "--final", "test"), "fit cannot score another split"),
        (("sweep", "toy", "--metric", "x"), "are for functions; the task 'toy' has its own metric"),
    ):
        done = run_command(*words, "--engine=local", "--out", str(case.out))
        assert done.returncode == 2, words
        assert message in " ".join(done.stderr.split()), done.stderr
        assert len(done.stderr.split("error:")) == 2
    command(*case.words("--engine=local", "--space=grid"))
    done = run_command("verify", "fit/s", "--engine=local", "--out", str(case.out))
    assert done.returncode == 2
    assert "is a sweep of the function trainer.py:fit, but verify requires a named task" in (
        " ".join(done.stderr.split())
    )
    exported = str(case.folder / "model")
    assert "Exported trial" in command("export", "fit/s", exported, "--out", str(case.out))
