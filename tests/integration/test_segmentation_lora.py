"""LoRA of segmentation networks: what is trained, and exports that peft loads."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from segmentation_trials import compute_stages, make_trial
from tiny_models import save_tiny
from tiny_segmenters import save_segmenter

from tasks.contract import Member, ModelError, State, Trial
from tasks.segmentation import adapters, full
from tasks.segmentation.task import TASK

PIXELS = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
# peft asks transformers for an attribute that transformers renamed.
OF_PEFT = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def make(model: Path, folder: Path, **params: Any) -> Trial:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    given: dict[str, Any] = {"trainable": "lora", "lora_rank": 4, "lora_alpha": 6.0, "lr": 1e-2}
    return make_trial(str(model), data, **given | params)


def run(*trials: Trial) -> list[State]:
    """Train trials in a pack for both epochs."""
    inputs = compute_stages(trials)
    states = [TASK.start(trial, inputs, "cpu") for trial in trials]
    for _ in range(2):
        members = [Member(trial=t, state=s) for t, s in zip(trials, states, strict=True)]
        for number, result in enumerate(TASK.advance(members, inputs, "cpu")):
            assert not isinstance(result, Exception), result
            states[number] = result[0]
    return states


@pytest.mark.parametrize(
    ("kind", "head"), [("vit", "linear"), ("vit", "upernet"), ("segformer", "own")]
)
def test_only_adapters_and_head_are_trained(kind: str, head: str, tmp_path: Path) -> None:
    save = save_segmenter if kind == "segformer" else save_tiny
    trial = make(save(kind, tmp_path / "model"), tmp_path, head=head)
    before = TASK.start(trial, compute_stages([trial]), "cpu")
    (after,) = run(trial)
    weights = {name for name in before.arrays if name.startswith("weight.")}
    moved = {name for name in weights if not torch.equal(before.arrays[name], after.arrays[name])}
    adapters = {name for name in weights if name.startswith("weight.lora.")}
    assert adapters
    assert adapters <= moved
    start = {"own": "weight.model.decode_head."}.get(head, "weight.head.")
    assert {name for name in weights - adapters if not name.startswith(start)} == set()
    assert moved - adapters


def test_a_pack_gives_the_results_of_its_members_alone(tmp_path: Path) -> None:
    model = save_tiny("vit", tmp_path / "model")
    trials = [make(model, tmp_path), make(model, tmp_path, lora_targets=".*attention.*")]
    for trial, state in zip(trials, run(*trials), strict=True):
        (alone,) = run(trial)
        assert all(torch.equal(alone.arrays[name], v) for name, v in state.arrays.items())


@pytest.mark.parametrize(("kind", "head"), [("vit", "linear"), ("segformer", "own")])
def test_kept_weights_give_the_scores_of_their_trial(kind: str, head: str, tmp_path: Path) -> None:
    save = save_segmenter if kind == "segformer" else save_tiny
    trial = make(save(kind, tmp_path / "model"), tmp_path, head=head)
    inputs = compute_stages([trial])
    state = TASK.start(trial, inputs, "cpu")
    for _ in range(2):
        (result,) = TASK.advance([Member(trial=trial, state=state)], inputs, "cpu")
        assert not isinstance(result, Exception), result
        state, step = result
    arrays = {name: value.numpy() for name, value in TASK.weights(trial, state).items()}
    again = dataclasses.replace(trial, params=dataclasses.replace(trial.params, epochs=0))
    restored = TASK.restore(again, arrays, state.values)
    (result,) = TASK.advance([Member(trial=again, state=restored)], inputs, "cpu")
    assert not isinstance(result, Exception), result
    assert result[1].metrics == {k: v for k, v in step.metrics.items() if k != "loss"}


def test_an_encoder_without_linear_layers_is_refused(tmp_path: Path) -> None:
    trial = make(save_tiny("resnet", tmp_path / "model"), tmp_path)
    with pytest.raises(ModelError, match="has no linear layer that matches 'all-linear'"):
        TASK.start(trial, compute_stages([trial]), "cpu")


def export(trial: Trial, state: State, folder: Path) -> tuple[Path, str]:
    """Export a trial; return its folder and the note on adapters."""
    out = folder / "out"
    out.mkdir()
    card = TASK.export(trial, TASK.weights(trial, state), state.values, out)
    (note,) = (note for note in card.notes if "PeftModel" in note)
    return out, note


@OF_PEFT
@pytest.mark.parametrize("num_classes", [5, 11])
def test_peft_loads_the_adapters_of_a_checkpoint(num_classes: int, tmp_path: Path) -> None:
    """The head of 11 classes, as in the data, comes with them."""
    folder = save_segmenter("segformer", tmp_path / "model")
    loader = transformers.AutoModelForSemanticSegmentation
    if num_classes != 5:
        options = {"num_labels": num_classes, "ignore_mismatched_sizes": True}
        loader.from_pretrained(folder, **options).save_pretrained(folder)
    trial = make(folder, tmp_path, head="own")
    (state,) = run(trial)
    out, note = export(trial, state, tmp_path)
    assert ("without the trained `decode_head`" in note) is (num_classes == 5)
    model = peft.PeftModel.from_pretrained(loader.from_pretrained(folder), out / "adapter").eval()
    merged = loader.from_pretrained(out).eval()
    if num_classes == 5:
        model.get_base_model().decode_head = merged.decode_head
    with torch.no_grad():
        trained = full.restore(trial, state, "cpu").eval()
        expected = trained(PIXELS)
        inputs = trained.normalize(PIXELS)
        for each in (model, merged):
            torch.testing.assert_close(each(pixel_values=inputs).logits, expected)


@OF_PEFT
@pytest.mark.parametrize(("kind", "module"), [("segformer", "segformer"), ("clip", "vision_model")])
def test_peft_loads_the_adapters_into_the_named_module(
    kind: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id in the adapter's configuration would be that of the whole model."""
    folder = (save_segmenter if kind == "segformer" else save_tiny)(kind, tmp_path / "model")
    trial = make(folder, tmp_path, image_size=32)
    (state,) = run(trial)
    monkeypatch.setattr(adapters, "hub_ids", lambda name: ["owner/model"])
    out, note = export(trial, state, tmp_path)
    assert f"PeftModel.from_pretrained(base_model.{module}, folder)" in note
    config = json.loads((out / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] is None
    loader = transformers.AutoModelForSemanticSegmentation
    base = (loader if kind == "segformer" else transformers.AutoModel).from_pretrained(folder)
    model = peft.PeftModel.from_pretrained(base.get_submodule(module), out / "adapter").eval()
    pixels = PIXELS[..., :32, :32]
    with torch.no_grad():
        trained = full.restore(trial, state, "cpu").eval()
        expected = trained.encoder(pixel_values=pixels).last_hidden_state
        found = model(pixel_values=pixels).last_hidden_state
    torch.testing.assert_close(found, expected)


@OF_PEFT
def test_peft_loads_the_adapters_of_an_encoder(tmp_path: Path) -> None:
    folder = save_tiny("vit", tmp_path / "model")
    trial = make(folder, tmp_path)
    (state,) = run(trial)
    out, note = export(trial, state, tmp_path)
    assert "PeftModel.from_pretrained(base_model, folder)" in note
    base = transformers.AutoModel.from_pretrained(folder)
    model = peft.PeftModel.from_pretrained(base, out / "adapter").eval()
    options = {"pixel_values": PIXELS, "interpolate_pos_encoding": True}
    with torch.no_grad():
        trained = full.restore(trial, state, "cpu").eval()
        expected = trained.encoder(**options).last_hidden_state
        plain = transformers.AutoModel.from_pretrained(folder).eval()(**options)
        found = model(**options).last_hidden_state
        merged = transformers.AutoModel.from_pretrained(out / "encoder").eval()(**options)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(merged.last_hidden_state, expected)
    assert not torch.allclose(plain.last_hidden_state, expected, atol=1e-3)
