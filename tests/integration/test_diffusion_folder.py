"""Diffusion on a folder of images with attributes: judge, metrics, sheets and export by name."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from attribute_folders import COLORS, SHAPES, draw_attribute_folder, draw_objects
from harness import run_command
from PIL import Image

from orchestrator.sharing.model_export import export_model
from results.figures.trial_pictures import pictures_of
from results.storage.reading import Sweep, read_sweep
from tasks.contract import DataError
from tasks.diffusion import data, judge, kid, probe
from tasks.diffusion.task import TASK

NUMBER = 60  # images of each of six conditions
SETTINGS = (
    *("draws=128", "epochs=2", "num_samples=4", "sampling_steps=4", "precision=float32"),
    *("features=8", "depth=1", "width=16", "heads=2", "patch_size=7"),
)
UNSEEN = ("triangle_dark-green", "triangle_red")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_attribute_folder(tmp_path_factory.mktemp("data") / "images", NUMBER)


def run(out: Path, root: Path, *words: str, least: float = 0.5, status: int = 0) -> str:
    command = ["sweep", "diffusion", "--engine", "local", "--name", "s", "--keep", "all"]
    command += [f"--data=folder:{root}"] * (not any(w.startswith("--data") for w in words))
    command += [f"--out={out}", f"--set=min_real_accuracy={least}"]
    command += [f"--set={text}" for text in SETTINGS]
    done = run_command(*command, *words, COLUMNS="160")
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def out(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    run(folder, root, "--set=network=unet,dit")
    return folder


@pytest.fixture(scope="module")
def sweep(out: Path) -> Sweep:
    return read_sweep(str(out), "diffusion", "s")


def test_metrics_are_named_by_the_values(sweep: Sweep) -> None:
    rows = sweep.rows()
    assert [row["status"] for row in rows] == ["finished"] * 2
    assert {row["param.network"] for row in rows} == {None, "dit"}
    names = [f"{s}_{c.replace(' ', '-')}" for s in SHAPES for c in COLORS]
    for row in rows:
        assert row["param.unseen"] == "+".join(UNSEEN)
        for score in ("accuracy", "probe", "attributes"):
            values = {name: row[f"metric.{score}_{name}"] for name in names}
            for group in ("seen", "unseen"):
                of = [values[n] for n in names if (n in UNSEEN) == (group == "unseen")]
                assert row[f"metric.{group}_{score}"] == pytest.approx(np.mean(of))
    labels = {column.key: column.label for column in sweep.manifest.columns}
    assert labels["metric.accuracy_circle_dark-green"] == "accuracy of circle dark green"
    assert "metric.accuracy_000" not in labels


def test_pictures_are_grouped_by_name(sweep: Sweep) -> None:
    groups = pictures_of(sweep, sweep.rows()[0])
    assert set(groups) == {f"{s}_{c.replace(' ', '-')}" for s in SHAPES for c in COLORS}
    assert all(len(pictures) == 5 for pictures in groups.values())  # the mean first


def test_samples_give_the_metrics(sweep: Sweep) -> None:
    row = sweep.rows()[0]
    samples = sweep.samples.filter(pc.equal(sweep.samples["trial_id"], row["trial_id"]))
    for declared in sweep.manifest.paired:
        found = [
            sample[str(declared.value)]
            for sample in samples.to_pylist()
            if all(sample[key] == value for key, value in declared.where.items())
        ]
        assert len(found) % 4 == 0
        assert np.mean(found) == pytest.approx(row[f"metric.{declared.metric}"]), declared.metric


def test_report_names_no_conditions_of_the_paper(root: Path, tmp_path: Path) -> None:
    output = run(tmp_path, root, "--space=paper")
    assert "accuracy of circle dark green" not in output  # nothing published
    assert "accuracy_000" not in output
    assert "unseen probe-only accuracy %" in output  # among the published numbers


@pytest.mark.parametrize("network", [None, "dit"])
def test_export_draws_the_scored_pictures_without_the_data(
    network: str | None, sweep: Sweep, root: Path, tmp_path: Path
) -> None:
    from tasks.diffusion.pipeline import load

    row = next(row for row in sweep.rows() if row["param.network"] == network)
    moved = shutil.move(root, root.with_suffix(".away"))
    try:
        folder = export_model(sweep, row["trial_id"], str(tmp_path / "e")).folder
    finally:
        shutil.move(moved, root)
    config = json.loads((folder / "config.json").read_text())
    assert list(config["conditions"])[-1] == "triangle red"
    card = (folder / "README.md").read_text()
    assert 'descriptions = ["triangle red", "circle blue"]' in card
    assert "never saw in training: triangle dark green, triangle red." in card
    scope: dict[str, Any] = {}
    exec(compile((folder / "pipeline.py").read_text(), "pipeline.py", "exec"), scope)
    for loaded in (load(folder), scope["load"](folder)):
        drawn = loaded(["triangle dark green"], seed=0, num_images=4)
        samples = sweep.samples.filter(pc.equal(sweep.samples["trial_id"], row["trial_id"]))
        stored = {each["sample"]: each["picture"] for each in samples.to_pylist()}
        for index, picture in enumerate(drawn):
            png = stored[f"triangle_dark-green-{index:03}"]
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), np.asarray(picture))


# --- the judge ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(root: Path) -> Any:
    return judge.fit(data.resolve(f"folder:{root}"))


def test_judge_reads_attributes_with_different_numbers_of_values(fitted: Any) -> None:
    assert fitted["weight"].shape == (2 * 3, 28 * 28 * 3)
    assert fitted["bias"][2] == -np.inf  # there is no third shape
    for i, shape in enumerate(SHAPES):
        for j, color in enumerate(COLORS):
            images = draw_objects(shape, color, 2 * NUMBER)[NUMBER:]  # drawn anew
            found = probe.predict(fitted, images)
            assert set(found[:, 0].tolist()) <= {0, 1}
            assert (found == (i, j)).all(1).mean() > 0.6
            other = f"{1 - i}{(j + 1) % 3}"
            assert judge.score(fitted, f"{i}{j}", images)[0].mean() > 0.4
            assert judge.score(fitted, other, images)[0].mean() < 0.02
            near, far = (kid.of_condition(fitted, code, images) for code in (f"{i}{j}", other))
            assert near is not None
            assert far is not None
            assert near[0] < far[0]


def test_strict_judge_names_the_parameter_that_relaxes_it(root: Path, tmp_path: Path) -> None:
    output = run(tmp_path, root, least=1, status=1)
    assert "accept this with --set min_real_accuracy=SHARE" in " ".join(output.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set=unseen=circle_pink"], "has no condition 'circle_pink'; choose of circle_blue"),
        (["--data=concepts", "--set=unseen=011"], "unseen=011 requires --data folder:DIR"),
    ],
)
def test_wrong_request_is_one_line(
    words: list[str], message: str, root: Path, tmp_path: Path
) -> None:
    output = run(tmp_path, root, *words, status=2)
    assert message in output
    assert output.count("\n") == 1


def test_folder_without_its_prefix_is_suggested(root: Path) -> None:
    with pytest.raises(DataError, match=f"; use --data folder:{root} for this folder"):
        TASK.resolve("unet", str(root))
