"""Options of training the encoder: checkpointing, layer-wise rates and warm-up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from segmentation_trials import make_trial
from tiny_models import save_tiny

from tasks.contract import ModelError, State
from tasks.segmentation import full
from tasks.segmentation.masked import SCENE_CLASSES


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A ViT with dropout."""
    folder = save_tiny("vit", tmp_path / "model")
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"hidden_dropout_prob": 0.3}))
    (tmp_path / "data").mkdir()
    return folder


def train(model: Path, **params: Any) -> tuple[State, State]:
    """Return the states before and after an epoch."""
    trial = make_trial(str(model), model.parent / "data", lr=1e-2, **params)
    before = full.start(trial, SCENE_CLASSES, "cpu")
    return before, full.train_epoch(trial, before, "cpu")[0]


@pytest.mark.parametrize("trainable", ["full", "lora"])
def test_checkpointing_does_not_change_the_training(trainable: str, model: Path) -> None:
    _, plain = train(model, trainable=trainable)
    _, again = train(model, trainable=trainable, gradient_checkpointing=True)
    for name, value in plain.arrays.items():
        torch.testing.assert_close(again.arrays[name], value)


def test_checkpointing_needs_layers(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(ModelError, match="have no gradient checkpointing"):
        train(save_tiny("resnet", tmp_path / "model"), gradient_checkpointing=True)


def test_lower_layers_learn_more_slowly(model: Path) -> None:
    def moved(**params: Any) -> dict[str, float]:
        before, after = train(model, weight_decay=0.0, **params)
        return {
            name: float((value - before.arrays[name]).abs().mean())
            for name, value in after.arrays.items()
            if name.startswith("weight.") and name.endswith((".weight", "/weight"))
        }

    plain, slow = moved(), moved(layer_decay=0.1)
    (first,) = (name for name in plain if "patch_embeddings" in name)
    assert slow[first] < 0.1 * plain[first]
    assert slow["weight.head.classifier/weight"] > 0.5 * plain["weight.head.classifier/weight"]


def test_warmup_starts_with_a_rate_of_zero(model: Path) -> None:
    """Of four steps, the first has no effect and the second has half the rate."""
    _, plain = train(model)
    before, warm = train(model, warmup_ratio=0.5)
    name = "weight.head.classifier/weight"
    way = [float((each.arrays[name] - before.arrays[name]).abs().max()) for each in (warm, plain)]
    assert 0 < way[0] <= 0.5e-2 * 1.01 < way[1]


def test_options_without_effect_do_not_change_the_trial(model: Path) -> None:
    def make(**params: Any) -> str:
        return make_trial(str(model), model.parent / "data", **params).id

    options = {"layer_decay": 0.5, "gradient_checkpointing": True}
    assert make(trainable="head", **options) == make(trainable="head")
    assert make(trainable="head", warmup_ratio=0.1) != make(trainable="head")
    assert make(trainable="lora", layer_decay=0.5) == make(trainable="lora")
    assert make(epochs=0, warmup_ratio=0.1, **options) == make(epochs=0)
    assert len({make(), make(layer_decay=0.5), make(gradient_checkpointing=True)}) == 3
