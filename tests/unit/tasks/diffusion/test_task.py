"""Models and data that the diffusion task accepts."""

from __future__ import annotations

import pytest

from tasks.contract import RequestError
from tasks.diffusion.task import TASK


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        ("resnet", "concepts", "takes unet or package.module:factory"),
        ("unet", "scenes", "--data takes concepts or clevr:DIR"),
        ("unet", "clevr:", "--data takes concepts or clevr:DIR"),
        ("unet", "clevr:/nowhere", "no such folder"),
    ],
)
def test_unsupported_model_and_data_are_refused(model: str, data: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        TASK.resolve(model, data)
