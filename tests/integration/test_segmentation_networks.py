"""Feature maps of image encoders, and checkpoints with their own heads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from segmentation_trials import compute_stages, make_trial
from tiny_models import save_tiny
from tiny_segmenters import SEGMENTERS, save_segmenter

from tasks.contract import Member, ModelError, State, Trial
from tasks.segmentation import crops, full, mask2former, network, stages
from tasks.segmentation.pyramid import Pyramid
from tasks.segmentation.task import TASK

#: Grids of the levels for an input of 64 pixels.
GRIDS = {
    "vit": [8, 8],
    "clip": [8, 8],
    "siglip": [8, 8],
    "dinov2": [8, 8],
    "resnet": [16, 8],
    "segformer": [16, 8, 4, 2],
    "upernet": [16, 8, 4, 2],
    "dpt": [4, 4, 4, 4],
    "mobilenet_v2": [16, 8, 4, 2],
    "mask2former": [16, 8, 4, 2],
}


def save(kind: str, folder: Path) -> str:
    return str(save_segmenter(kind, folder) if kind in SEGMENTERS else save_tiny(kind, folder))


@pytest.mark.parametrize("kind", GRIDS)
def test_levels_go_from_fine_to_coarse(kind: str, tmp_path: Path) -> None:
    found = network.load_backbone(save(kind, tmp_path))
    pyramid = Pyramid(found.encoder, 4).eval()
    with torch.inference_mode():
        levels = pyramid(torch.randn(2, 3, 64, 64))
        assert [level.shape[-1] for level in levels] == GRIDS[kind]
        assert all(level.ndim == 4 for level in levels)
        last = Pyramid(found.encoder, 1).eval()(torch.randn(2, 3, 64, 64))
    assert len(last) == 1
    assert last[0].shape == levels[-1].shape


def test_tokens_are_placed_where_their_patch_is(tmp_path: Path) -> None:
    """A changed patch changes its own place most, whatever special tokens come first."""
    for kind in ("vit", "dinov2", "siglip"):
        found = network.load_backbone(save(kind, tmp_path / kind))
        pyramid = Pyramid(found.encoder, 1).eval()
        pixels = torch.zeros(1, 3, 64, 64)
        changed = pixels.clone()
        changed[..., 16:24, 40:48] = 3.0  # the patch in row 2, column 5
        with torch.inference_mode():
            moved = (pyramid(changed)[0] - pyramid(pixels)[0]).norm(dim=1)[0]
        assert divmod(int(moved.argmax()), 8) == (2, 5)


def run(trial: Trial, state: State | None = None) -> tuple[State, list[dict[str, float]]]:
    inputs = compute_stages([trial])
    state = TASK.start(trial, inputs, "cpu") if state is None else state
    found = []
    while True:
        (result,) = TASK.advance([Member(trial=trial, state=state)], inputs, "cpu")
        if isinstance(result, Exception):
            raise result
        state, step = result
        found.append(dict(step.metrics))
        if step.done:
            return state, found


@pytest.mark.parametrize(
    ("kind", "trainable"),
    [*((kind, "full") for kind in SEGMENTERS), ("segformer", "lora"), ("dpt", "lora")],
)
def test_checkpoint_with_its_own_head_trains_and_exports(
    kind: str, trainable: str, tmp_path: Path
) -> None:
    model = save(kind, tmp_path / "model")
    (tmp_path / "data").mkdir()
    trial = make_trial(model, tmp_path / "data", head="own", lr=1e-3, trainable=trainable)
    state, steps = run(trial)
    assert len(steps) == 2
    assert all(np.isfinite(list(step.values())).all() for step in steps)
    arrays = {name: value.numpy() for name, value in TASK.weights(trial, state).items()}
    out = tmp_path / "out"
    out.mkdir()
    TASK.export(trial, arrays, state.values, out)
    is_mask2former = kind == "mask2former"
    loader = (
        transformers.AutoModelForUniversalSegmentation
        if is_mask2former
        else transformers.AutoModelForSemanticSegmentation
    )
    loaded = loader.from_pretrained(out).eval()
    assert loaded.config.id2label[1] == "circle"
    assert loaded.config.num_labels == 11
    processor = transformers.AutoImageProcessor.from_pretrained(out)
    image = Image.open(tmp_path / "data" / "val" / "images" / "0.png").convert("RGB")
    image = image.resize((96, 80))  # the processor must make the square that the trial makes
    square = np.array(crops.crop_image(image, crops.whole(80, 96), 64))
    network_of_trial = full.restore(trial, state, "cpu").eval()
    with torch.inference_mode():
        theirs = loaded(**processor(images=image, return_tensors="pt"))
        ours = network_of_trial(torch.from_numpy(square).permute(2, 0, 1)[None] / 255)
        if is_mask2former:
            (expected,) = processor.post_process_semantic_segmentation(
                theirs, [(80, 96)], return_segmentation_scores=True
            )
            found = mask2former.class_scores(ours, (80, 96))[0].exp()
            torch.testing.assert_close(found, expected["segmentation_scores"], atol=1e-4, rtol=1e-4)
            return
    theirs = theirs.logits
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("head", ["linear", "upernet"])
def test_full_training_of_an_encoder_changes_all_of_it(head: str, tmp_path: Path) -> None:
    model = save("vit", tmp_path / "model")
    (tmp_path / "data").mkdir()
    trial = make_trial(model, tmp_path / "data", head=head)
    assert stages.needed(trial) == [stages.masks_stage(trial)]
    inputs = compute_stages([trial])
    before = TASK.start(trial, inputs, "cpu")
    after, _ = run(trial, before)
    moved = {
        name
        for name, value in before.arrays.items()
        if name.startswith("weight.") and not torch.equal(value, after.arrays[name])
    }
    assert any("patch_embeddings" in name for name in moved)
    assert any(name.startswith("weight.head.") for name in moved)
    again, _ = run(trial, before)  # the state before is unchanged, and the result the same
    assert all(torch.equal(after.arrays[name], again.arrays[name]) for name in after.arrays)


def test_untrained_checkpoint_can_be_evaluated(tmp_path: Path) -> None:
    model = save("segformer", tmp_path / "model")
    (tmp_path / "data").mkdir()
    trial = make_trial(model, tmp_path / "data", head="own", epochs=0)
    _, steps = run(trial)
    assert len(steps) == 1
    assert "loss" not in steps[0]


def test_mask2former_has_its_own_loss(tmp_path: Path) -> None:
    """Also with an image whose pixels are all ignored, and with windows and mirror images."""
    model = save("mask2former", tmp_path / "model")
    (tmp_path / "data").mkdir()
    options: dict[str, Any] = {"evaluation": "slide", "flip": True, "crop_size": 48, "epochs": 1}
    trial = make_trial(model, tmp_path / "data", head="own", **options)
    state, (step,) = run(trial)
    assert np.isfinite(list(step.values())).all()
    made = full.restore(trial, state, "cpu").train()
    assert isinstance(made, mask2former.Mask2Former)
    assert made.model.criterion.empty_weight.tolist() == pytest.approx([1.0] * 11 + [0.1])
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    labels = torch.full((2, 32, 32), 255, dtype=torch.uint8)
    labels[0, :16], labels[0, 16:20] = 3, 0
    masks = torch.stack([labels[0] == 0, labels[0] == 3]).float()
    torch.manual_seed(0)
    expected = made.model(
        pixel_values=made.normalize(pixels),
        mask_labels=[masks, torch.zeros(0, 32, 32)],
        class_labels=[torch.tensor([0, 3]), torch.zeros(0, dtype=torch.long)],
    ).loss
    torch.manual_seed(0)
    found = made.loss(made(pixels), labels)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trainable": "lora"}, "a Mask2Former, has no adapters with head=own"),
        ({"loss": "dice"}, "trained with its own loss, but got loss=dice"),
    ],
)
def test_mask2former_is_trained_in_full_by_its_own_loss(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    model = save("mask2former", tmp_path / "model")
    (tmp_path / "data").mkdir()
    with pytest.raises(ModelError, match=message):
        make_trial(model, tmp_path / "data", head="own", **options)


@pytest.mark.parametrize("trainable", ["head", "lora"])
def test_mask2former_gives_its_backbone(trainable: str, tmp_path: Path) -> None:
    model = save("mask2former", tmp_path / "model")
    (tmp_path / "data").mkdir()
    trial = make_trial(model, tmp_path / "data", head="linear", trainable=trainable)
    state, _ = run(trial)
    (tmp_path / "out").mkdir()
    TASK.export(trial, TASK.weights(trial, state), state.values, tmp_path / "out")
    encoder = transformers.SwinBackbone.from_pretrained(tmp_path / "out" / "encoder")
    assert len(encoder(torch.zeros(1, 3, 64, 64)).feature_maps) == 4
