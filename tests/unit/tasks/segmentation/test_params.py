"""Parameters: what is refused, and which trials are equal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.contract import DataError, ModelError, Source, Trial
from tasks.segmentation import stages
from tasks.segmentation.params import Params
from tasks.segmentation.registry import load_split
from tasks.segmentation.task import TASK


def trial(**params: Any) -> Trial:
    model, data = TASK.resolve("blip-scenes", "scenes")
    made = Trial(
        task=TASK.name,
        version=TASK.version,
        params=Params(**params),
        seed=0,
        model=model,
        data=data,
    )
    return TASK.normalize(made)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"lr": 0.0}, "`lr > 0` must hold, but got lr=0.0"),
        ({"head_width": 12}, "head_width is a positive multiple of 8"),
        ({"loss": "hinge"}, "loss must be one of cross_entropy, dice, focal"),
        ({"head": "own"}, "head=own needs trainable=lora or full"),
        ({"crop_size": 8}, "crop_size >= 16"),
        ({"split": "train"}, "split must not be train"),
    ],
)
def test_bad_parameters_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Params(**params)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"crop_size": 96}, {}, True),  # neither crops nor windows
        ({"crop_size": 96, "augment": True}, {"augment": True}, False),
        ({"crop_size": 96, "evaluation": "slide"}, {"evaluation": "slide"}, False),
        ({"head_width": 64}, {}, True),  # a linear head has no width
        ({"focal_gamma": 1.0}, {}, True),
        ({"focal_gamma": 1.0, "loss": "focal"}, {"loss": "focal"}, False),
        ({"epochs": 0, "lr": 0.1, "loss": "dice"}, {"epochs": 0}, True),
        # New adapters do not change a network.
        (
            {"epochs": 0, "trainable": "lora", "lora_rank": 2, "lora_targets": "x"},
            {"epochs": 0, "trainable": "lora"},
            True,
        ),
        ({"trainable": "lora", "lora_rank": 2}, {"trainable": "lora"}, False),
        ({"flip": True}, {}, False),
        ({"num_images": 10**6}, {}, True),  # more than there are
        ({"num_images": 64}, {}, False),
    ],
)
def test_equal_work_has_equal_ids(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert (trial(**one).id == trial(**other).id) is same


def test_trials_that_cannot_run_are_refused() -> None:
    with pytest.raises(DataError, match="but got 16 > 8"):
        trial(num_images=8)
    with pytest.raises(ModelError, match="has no segmentation head of its own"):
        trial(trainable="full", head="own")
    with pytest.raises(DataError, match="splits"):
        trial(split="nowhere")


def test_members_with_equal_images_share_their_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, dice, upernet = (trial(**each) for each in ({}, {"loss": "dice"}, {"head": "upernet"}))
    assert set(TASK.stages(plain)) == set(TASK.stages(dice))
    assert len(TASK.stages(plain)) == 3  # masks, val, one copy of train
    assert set(TASK.stages(plain)) == set(TASK.stages(upernet))
    assert len(TASK.stages(trial(augment=True, epochs=4))) == 2 + 4
    assert len(TASK.stages(trial(trainable="full"))) == 1
    monkeypatch.setattr(stages, "SHARED_BYTES", 0)  # of many images, a head reads only its levels
    assert set(TASK.stages(plain)) & set(TASK.stages(upernet)) == {stages.masks_stage(plain)}


def test_heads_share_only_levels_whose_size_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    def share(**params: Any) -> bool:
        one, other = (trial(head=head, **params) for head in ("linear", "upernet"))
        return stages.evaluation_stage(one) == stages.evaluation_stage(other)

    # Four levels of blip-scenes: float16, 128 wide, patches of 8 x 8 pixels.
    number = len(load_split("scenes", "val"))
    monkeypatch.setattr(stages, "SHARED_BYTES", number * 4 * 2 * 128 * (128 // 8) ** 2)
    assert share()
    assert not share(flip=True)  # twice as many
    assert not share(evaluation="slide")  # as many windows as the images need


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"hidden_size": 768, "patch_size": 16}, 24.0),
        ({"vision_config": {"hidden_size": 768, "patch_size": 32}}, 6.0),
        ({"hidden_size": 768, "patch_size": 4, "depths": [2, 2, 6, 2]}, None),  # Swin
        ({"hidden_sizes": [256, 512, 1024, 2048], "depths": [3, 4, 6, 3]}, None),  # ResNet
        ({"backbone_config": {"hidden_sizes": [8, 16]}, "hidden_size": 16}, None),  # UPerNet
    ],
)
def test_only_plain_transformers_have_levels_of_known_size(
    config: dict[str, Any], expected: float | None, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").touch()
    assert stages.bytes_per_pixel(Source(name=str(tmp_path), fingerprint="x")) == expected
