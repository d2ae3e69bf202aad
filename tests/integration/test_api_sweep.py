"""``orc.sweep`` runs what the command runs, and raises where the command ends with an error."""

from __future__ import annotations

import inspect
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import orchestrator as orc
from orchestrator.api.sweep import describe_call
from results.storage.reading import read_sweep


@orc.task(metric="error", maximize=False, columns=["doubled"], steps="epochs")
def fit(lr: float = 0.1, epochs: int = 2, *, seed: int) -> Iterator[dict[str, float]]:
    for epoch in range(epochs):
        yield {"error": lr + seed / 10 + 1 / (epoch + 1), "doubled": 2 * lr}


def sweep(*args: Any, out: Path, **more: Any) -> orc.Sweep:
    return orc.sweep(*args, engine="local", out=out, **more)


def test_a_grid_of_a_named_task(tmp_path: Path) -> None:
    found = sweep("toy", {"degree": [1, 3]}, set={"epochs": 2}, seeds=2, out=tmp_path)
    assert found.name == "toy/grid-degree-epochs-2"
    assert found.trials.num_rows == 4
    assert set(found.trials["param.epochs"].to_pylist()) == {2}
    assert sweep("toy", {"degree": [1, 3]}, set={"epochs": 2}, seeds=2, out=tmp_path).best == (
        found.best
    )


def test_a_function_has_seeds_intervals_and_a_table(tmp_path: Path) -> None:
    found = sweep(fit, {"lr": [0.1, 0.2]}, seeds=3, out=tmp_path)
    assert found.name == "fit/grid-lr"
    assert found.best.params == {"lr": 0.1, "epochs": 2}
    assert found.best.metrics == pytest.approx({"error": 0.7, "doubled": 0.2})
    assert found.best.interval is not None
    text = str(found.table())
    assert "[95 % interval over seeds]" in text
    assert "paired by seed, over seeds" in text
    assert "Model none" not in text
    assert found.steps.num_rows == 12
    manifest = read_sweep(str(tmp_path), "fit", "grid-lr").manifest
    assert manifest.function == "test_api_sweep.py:fit"
    assert manifest.command == (
        f"orc.sweep(fit, space={{'lr': [0.1, 0.2]}}, seeds=3, engine='local', out='{tmp_path}')",
    )
    assert manifest.environment is not None
    assert manifest.environment.space is not None
    assert manifest.environment.space.text == "GRID = {'lr': [0.1, 0.2]}\n"


def test_one_seed_says_what_a_test_needs(tmp_path: Path) -> None:
    text = " ".join(str(sweep(fit, {"lr": [0.1, 0.2]}, out=tmp_path).table()).split())
    assert "because that needs scores per sample or several seeds of complete rows" in text


def test_a_search_prunes_and_resumes(tmp_path: Path) -> None:
    def search(trial: Any) -> dict[str, float]:
        return {"lr": trial.suggest_float("lr", 0.01, 1.0)}

    first = sweep(fit, search, trials=3, out=tmp_path, set={"epochs": 4})
    assert first.trials.num_rows == 3
    more = sweep(fit, search, trials=5, out=tmp_path, set={"epochs": 4})
    assert more.name == first.name
    assert more.trials.num_rows == 5
    assert set(first.trials["trial_id"].to_pylist()) < set(more.trials["trial_id"].to_pylist())


def test_another_grid_is_another_sweep_that_shares_trials(tmp_path: Path) -> None:
    first = sweep(fit, {"lr": [0.1, 0.2]}, out=tmp_path)
    second = sweep(fit, {"lr": [0.1, 0.3]}, out=tmp_path)
    assert second.name.startswith(f"{first.name}-")
    assert second.trials.num_rows == 2
    reused = [row["reused_from"] for row in second.trials.to_pylist()]
    assert sorted(map(str, reused)) == ["None", "fit/grid-lr"]


def test_several_grids_are_united(tmp_path: Path) -> None:
    found = sweep(fit, [{"lr": [0.1, 0.2]}, {"lr": [0.3], "epochs": [1, 3]}], out=tmp_path)
    assert found.trials.num_rows == 4
    assert found.name == "fit/grid-lr-epochs"


def test_lists_that_vary_together(tmp_path: Path) -> None:
    grid = {"lr": [0.1, 0.2], "epochs": [1, 2]}
    found = sweep(fit, grid, zip=[("lr", "epochs")], out=tmp_path)
    rows = [(row["param.lr"], row["param.epochs"]) for row in found.trials.to_pylist()]
    assert sorted(rows) == [(0.1, 1), (0.2, 2)]


def test_it_runs_in_another_thread(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found: list[orc.Sweep] = []
    thread = threading.Thread(target=lambda: found.append(sweep(fit, {"lr": [0.1]}, out=tmp_path)))
    thread.start()
    thread.join()
    assert found[0].trials.num_rows == 1
    assert "1/1 finished" in capfd.readouterr().out


def test_a_failed_trial_is_a_row(tmp_path: Path) -> None:
    @orc.task(metric="error", maximize=False)
    def broken(lr: float = 0.1) -> float:
        if lr > 1:
            raise ValueError("too large")
        return lr

    found = sweep(broken, {"lr": [0.5, 2.0]}, out=tmp_path)
    rows = {row["param.lr"]: row for row in found.trials.to_pylist()}
    assert rows[2.0]["status"] == "failed"
    assert rows[2.0]["reason"] == "ValueError: too large"
    assert found.best.params["lr"] == 0.5


def test_a_wrong_request_raises_one_message(tmp_path: Path) -> None:
    for call, message in (
        (lambda: sweep("toyy", out=tmp_path), "no task named 'toyy'; did you mean 'toy'?"),
        (lambda: sweep(fit, {"lr": []}, out=tmp_path), "the list of lr is empty"),
        (lambda: sweep(fit, {"lrr": [0.1]}, out=tmp_path), "did you mean 'lr'? available: epochs"),
        (lambda: sweep(fit, 3, out=tmp_path), "space must be a name, a FILE.py, a dict of lists"),
        (lambda: sweep(fit, set={"lr": "x"}, out=tmp_path), "lr must be float, but got 'x'"),
        (lambda: sweep(fit, {"lr": [1.0]}, trials=3, out=tmp_path), "--trials 3 has no effect"),
        (lambda: sweep("toy", metric="error", out=tmp_path), "--metric, --maximize and --minimize"),
    ):
        with pytest.raises(orc.RequestError) as caught:
            call()
        assert message in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_warnings_of_a_task_are_python_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.planning.discovery import load_task

    monkeypatch.setattr(type(load_task("toy")), "warnings", lambda *_: ["too few points"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sweep("toy", {"degree": [1]}, set={"epochs": 1}, out=tmp_path)
    assert [str(each.message) for each in caught] == ["too few points."]
    assert caught[0].filename == __file__


def test_the_model_is_exported(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import load_file

    @orc.task(metric="error", maximize=False)
    def kept(scale: float = 2.0, *, seed: int) -> Iterator[float]:
        state = orc.checkpoint({"weights": np.zeros(3, dtype=np.float32)})
        state["weights"] += scale
        yield 1 / scale

    found = sweep(kept, {"scale": [1.0, 4.0]}, out=tmp_path / "runs")
    folder = found.export(tmp_path / "model")
    assert load_file(folder / "weights.safetensors")["weights"].tolist() == [4, 4, 4]
    card = (folder / "README.md").read_text()
    assert f"# kept, trial {found.best.trial_ids[0][:8]}" in card
    assert "of the kept sweep `grid-scale`: function test_api_sweep.py:kept, seed 0." in card
    assert "none" not in card.split("## Parameters")[0]
    # Another process has the stored sweep, and not the function.
    again = orc.load(tmp_path / "runs" / found.name).export(tmp_path / "again")
    assert load_file(again / "weights.safetensors")["weights"].tolist() == [4, 4, 4]


# --- requests -------------------------------------------------------------------------------------


def test_a_request_from_yaml(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "task: toy\n"
        "space: {lr: [1e-2, .3], degree: [1]}\n"
        "set: {epochs: 2}\n"
        "seeds: [0, 1]\n"
        "engine: local\n"
        "step_timeout: 60\n"
        f"out: {tmp_path / 'runs'}\n"
    )
    request = orc.Request.from_yaml(file)
    assert request.space == {"lr": [0.01, 0.3], "degree": [1]}
    assert orc.Request.from_dict(request.to_dict()) == request
    found = orc.sweep(request)
    assert found.trials.num_rows == 4
    assert found.name == "toy/grid-lr-epochs-2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("space: paper\n", "a request must have a task"),
        ("task: toy\nspaces: paper\n", "a request has no option 'spaces'; did you mean 'space'?"),
        ("task: toy\nseeds: many\n", "seeds of a request must be a number, or a list of them"),
        ("task: toy\nrerun: 1\n", "rerun of a request must be true or false, but is 1"),
        ("task: [toy\n", "line 2 is not valid YAML"),
        ("task: !!python/object/apply:os.getcwd []\n", "is not valid YAML"),
    ],
)
def test_a_wrong_file_is_one_message(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(text)
    with pytest.raises(orc.RequestError) as caught:
        orc.Request.from_yaml(file)
    assert message in str(caught.value)
    with pytest.raises(orc.RequestError, match="cannot read"):
        orc.Request.from_yaml(tmp_path / "none.yaml")


def test_a_python_object_is_in_no_file() -> None:
    with pytest.raises(orc.RequestError, match=r"use its name or FILE\.py:FUNCTION"):
        orc.Request(task=fit).to_dict()
    assert describe_call(orc.Request(task="toy", settings={"epochs": 2}, seeds=3)) == (
        "orc.sweep('toy', seeds=3, set={'epochs': 2})"
    )


def test_docstring_describes_every_argument_in_order() -> None:
    text = (orc.sweep.__doc__ or "").partition("Args:")[2].partition("Returns:")[0]
    described = re.findall(r"^ {8}(\w+): ", text, re.M)
    assert described == list(inspect.signature(orc.sweep).parameters)
