"""Models and data that the diffusion task accepts."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path
from typing import Any

import pytest
from attribute_folders import COLORS, SHAPES, draw_attribute_folder, write_metadata
from PIL import Image

from tasks.contract import RequestError, Trial
from tasks.diffusion import judge, training
from tasks.diffusion.params import Params
from tasks.diffusion.task import TASK


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        ("resnet", "concepts", "takes unet or package.module:factory"),
        ("unet", "scenes", "--data takes concepts, folder:DIR or clevr:DIR"),
        ("unet", "clevr:", "--data takes concepts, folder:DIR or clevr:DIR"),
        ("unet", "clevr:/nowhere", "no such folder"),
        ("unet", "folder:", "--data takes concepts, folder:DIR or clevr:DIR"),
        ("unet", "folder:/nowhere", "no such folder"),
    ],
)
def test_unsupported_model_and_data_are_refused(model: str, data: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        TASK.resolve(model, data)


def test_columns_are_those_of_the_data(tmp_path: Path) -> None:
    _, data = TASK.resolve("unet", "concepts")
    assert TASK.for_data(data) is TASK
    _, data = TASK.resolve("unet", f"folder:{draw_attribute_folder(tmp_path / 'd', 10)}")
    task = TASK.for_data(data)
    keys, built_in = ({column.key for column in each.columns} for each in (task, TASK))
    assert "metric.accuracy_circle_dark-green" in keys - built_in
    assert "metric.accuracy_011" in built_in - keys
    assert {f"metric.{each.metric}" for each in task.per_sample} <= keys
    copied = pickle.loads(pickle.dumps(task))  # for a worker
    assert copied.columns == task.columns
    assert copied.metric == TASK.metric
    assert copied.scoring_params == ("unseen",)


def make_trial(folder: Path, **params: Any) -> Trial:
    model, data = TASK.resolve("unet", f"folder:{folder}")
    made = Params(precision="float32", **params)
    trial = Trial(
        task="diffusion", version=TASK.version, params=made, seed=0, model=model, data=data
    )
    return TASK.normalize(trial)


def test_unseen_can_be_chosen_where_every_condition_has_training_images(tmp_path: Path) -> None:
    folder = draw_attribute_folder(tmp_path / "d", 10)
    with (folder / "metadata.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    splits = ("train", "test")
    write_metadata(folder, [row | {"split": splits[i % 2]} for i, row in enumerate(rows)])
    with pytest.raises(RequestError, match="leave some out of training with --set unseen=NAME"):
        make_trial(folder)
    trial = make_trial(folder, unseen="triangle_red")
    assert trial.params.unseen == "triangle_red"
    labels = {column.label for column in TASK.for_data(trial.data).columns}
    assert {f"accuracy of {s} {c}" for s in SHAPES for c in COLORS} <= labels
    fitted = judge.fit(trial.data)
    assert len(fitted["limits"]) == len(SHAPES) * len(COLORS)


def test_changed_folder_trains_on_its_new_images(tmp_path: Path) -> None:
    folder = draw_attribute_folder(tmp_path / "d", 10)
    before = make_trial(folder)
    assert training._training_images(before.data, before.params.unseen)[0].std() > 0
    for file in folder.glob("*.png"):
        Image.new("RGB", (30, 30)).save(file)
    text = (folder / "metadata.csv").read_text()
    (folder / "metadata.csv").write_text(text.replace(",red", ",pink"))
    after = make_trial(folder)
    assert after.id != before.id
    assert "triangle_pink" in after.params.unseen
    assert (training._training_images(after.data, after.params.unseen)[0] == -1).all()
