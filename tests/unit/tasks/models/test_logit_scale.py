"""The temperature and bias of a checkpoint, read without torch."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tasks.contract import ModelError
from tasks.models.logit_scale import read_bias, read_temperature


def save(folder: Path, weights: dict[str, torch.Tensor], **config: Any) -> str:
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_scale_and_bias_are_read_in_every_precision(
    tmp_path: Path, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    scale, bias = torch.full(shape, 4.7, dtype=dtype), torch.full(shape, -16.5, dtype=dtype)
    others = {"a": torch.zeros(3, 2), "z": torch.zeros(3, 2)}  # before and after in the file
    name = save(tmp_path, others | {"logit_scale": scale, "logit_bias": bias})
    expected = math.exp(-float(scale.double()))
    assert read_temperature(name) == pytest.approx(expected, rel=1e-5)
    assert read_bias(name) == pytest.approx(-16.5)


def test_temperature_of_blip_is_a_parameter_or_in_the_config(tmp_path: Path) -> None:
    assert read_temperature(save(tmp_path, {"temp": torch.tensor(0.05)}, temp=0.3)) == 0.05
    assert read_temperature(save(tmp_path, {"a": torch.zeros(1)}, temp=0.3)) == 0.3
    assert read_temperature(save(tmp_path, {"a": torch.zeros(1)})) is None
    assert read_bias(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"temp": torch.tensor(0.0)}, r"has the temperature 0.0, which must be > 0"),
        ({"logit_scale": torch.tensor(float("nan"))}, "has the temperature nan"),
        ({"logit_scale": torch.zeros(2)}, r"must be one number, but has .* shape \[2\]"),
        ({"logit_scale": torch.zeros(1, dtype=torch.int64)}, "but has the type I64"),
    ],
)
def test_invalid_temperature_is_refused(
    tmp_path: Path, weights: dict[str, torch.Tensor], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        read_temperature(save(tmp_path, weights))
