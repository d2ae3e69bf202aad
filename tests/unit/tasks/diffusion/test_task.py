"""Models and data that the diffusion task accepts."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from attribute_folders import draw_attribute_folder

from tasks.contract import RequestError
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
