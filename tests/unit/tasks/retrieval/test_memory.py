"""The estimate of memory knows the sizes of every kind of encoder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from retrieval_trials import make_model_trial

from tasks.models import folders
from tasks.models.families import FAMILIES
from tasks.retrieval.task import TASK


@pytest.mark.parametrize("trainable", ["full", "lora"])
@pytest.mark.parametrize("kind", FAMILIES)
def test_every_family_has_an_estimate(
    kind: str, trainable: str, tiny: Callable[[str], str]
) -> None:
    name = tiny(kind)
    estimates = [
        TASK.estimate_memory(make_model_trial(name, trainable=trainable, batch_size=number))
        for number in (8, 16, 24)
    ]
    assert estimates[0] > folders.num_bytes(Path(name))
    assert estimates[2] - estimates[1] == pytest.approx(estimates[1] - estimates[0], rel=1e-3)
    assert estimates[1] > estimates[0]


@pytest.mark.parametrize("image", ["vit", "dinov2", "resnet", "swin"])
def test_every_image_encoder_of_a_pair_has_an_estimate(
    image: str, tiny: Callable[[str], str]
) -> None:
    name = f"{tiny(image)}+{tiny('bert')}"
    assert TASK.estimate_memory(make_model_trial(name, start="random", trainable="full")) > 0


def test_no_activations_are_counted_of_an_encoder_that_is_no_plain_vit(
    tiny: Callable[[str], str],
) -> None:
    """A larger batch then adds the activations of the text encoder alone."""

    def added(image: str) -> int:
        name = f"{tiny(image)}+{tiny('bert')}"
        few, many = (
            make_model_trial(name, start="random", trainable="full", batch_size=number)
            for number in (8, 16)
        )
        return TASK.estimate_memory(many) - TASK.estimate_memory(few)

    assert added("swin") == added("resnet") < added("vit")


def test_estimate_depends_on_the_patches_of_the_processor(
    tiny: Callable[[str], str], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in Path(tiny("siglip2")).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    before = TASK.estimate_memory(make_model_trial(str(folder), trainable="full"))
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"max_num_patches": 64}))
    after = TASK.estimate_memory(make_model_trial(str(folder), trainable="full"))
    assert after > 1.5 * before
