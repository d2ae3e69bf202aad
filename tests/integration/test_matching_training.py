"""Training of BLIP's matching head with its encoders, compared with transformers pair by pair."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from retrieval_trials import make_model_trial

from orchestrator.saving.checkpoints import decode, encode
from tasks.contract import Member, State, Step, Trial
from tasks.datasets import scenes
from tasks.models.matching import encode_tokens, match
from tasks.retrieval import gradients, network, training
from tasks.retrieval.export import export
from tasks.retrieval.loop import draw_epoch, part_of
from tasks.retrieval.losses import contrastive_loss
from tasks.retrieval.matching_loss import draw_uniforms, sample_negatives
from tasks.retrieval.network_split import NetworkSplit
from tasks.retrieval.task import TASK

Tiny = Callable[[str], str]
TRAINED = {"lr": 1e-3, "epochs": 2, "precision": "float32", "batch_size": 6, "itm_weight": 0.5}


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "SPLITS", {"train": 14, "val": 10, "test": 8})


def make(tiny: Tiny, **params: Any) -> Trial:
    return make_model_trial(tiny("blip"), **TRAINED | {"trainable": "full"} | params)


def start(trial: Trial) -> State:
    (stage,) = TASK.stages(trial)
    return training.start(trial, {stage: stage.function(**stage.args, device="cpu")}, "cpu")


def advance(trial: Trial, state: State) -> tuple[State, Step]:
    (result,) = training.advance([Member(trial=trial, state=state)], {}, "cpu")
    assert not isinstance(result, Exception), result
    return result


def first_step(trial: Trial, patch: pytest.MonkeyPatch) -> tuple[float, dict[str, torch.Tensor]]:
    """Return the loss of the first batch, and its gradients by name."""
    found: list[Any] = []

    def record(*args: Any) -> Any:
        loss, grads = original(*args)
        found.append((loss, list(grads)))
        return loss, grads

    original = gradients.whole_gradients
    state = start(trial)
    with patch.context() as context:
        context.setattr(gradients, "whole_gradients", record)
        advance(trial, state)
    loss, grads = found[0]
    names = sorted(n.removeprefix("weight.") for n in state.arrays if n.startswith("weight."))
    return float(loss), {n: g for n, g in zip(names, grads, strict=True) if g is not None}


def library_step(trial: Trial, folder: str) -> tuple[torch.Tensor, Any]:
    """The loss of the first batch by transformers, one pair to match after the other."""
    model = transformers.BlipForImageTextRetrieval.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    opened = NetworkSplit.open([trial], "train", [None], {}, "cpu")
    images, captions = draw_epoch(opened, trial, 1)[0].tolist()
    pixels = processor([opened.split.load(i) for i in images], return_tensors="pt").pixel_values
    texts = tokenizer(
        [opened.captions[c] for c in captions],
        padding=True,
        truncation=True,
        max_length=16,
        return_tensors="pt",
    )
    image = model.vision_proj(model.vision_model(pixels)[0][:, 0])
    text = model.text_proj(model.text_encoder(texts.input_ids, texts.attention_mask)[0][:, 0])
    image, text = (each / each.norm(dim=-1, keepdim=True) for each in (image, text))
    same = torch.tensor(
        [
            [i == j or c == d for j, d in zip(images, captions, strict=True)]
            for i, c in zip(images, captions, strict=True)
        ]
    )
    uniforms = draw_uniforms(trial.seed, 1, 2, 6)[0]
    logits = image @ text.T / trial.params.temperature
    ((negative_texts, negative_images),) = sample_negatives(
        logits[None], same[None], uniforms[None]
    ).tolist()
    losses = []
    for each in range(6):
        for i, j, label in (
            (each, each, 1),
            (each, negative_texts[each], 0),
            (negative_images[each], each, 0),
        ):
            assert label or images[i] != images[j]
            scores = model(
                input_ids=texts.input_ids[[j]],
                attention_mask=texts.attention_mask[[j]],
                pixel_values=pixels[[i]],
                use_itm_head=True,
            ).itm_score
            losses.append(torch.nn.functional.cross_entropy(scores, torch.tensor([label])))
    loss = contrastive_loss(image, text, trial.params.temperature)
    return loss + trial.params.itm_weight * torch.stack(losses).mean(), model


def test_loss_and_gradient_are_those_of_the_library(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = make(tiny)
    found_loss, found = first_step(trial, monkeypatch)
    loss, model = library_step(trial, tiny("blip"))
    assert found_loss == pytest.approx(float(loss.detach()), rel=1e-5)
    loss.backward()
    names = {
        "backbone.image.backbone": "vision_model",
        "backbone.text.backbone": "text_encoder",
        "image": "vision_proj",
        "text": "text_proj",
        "matching": "itm_head",
    }
    expected = {
        f"{own}.{name}": parameter.grad
        for own, module in names.items()
        for name, parameter in model.get_submodule(module).named_parameters()
        if parameter.grad is not None
    }
    assert found.keys() == expected.keys()
    assert any("crossattention" in name for name in found)
    for name, grad in found.items():
        torch.testing.assert_close(grad, expected[name], atol=1e-6, rtol=1e-4, msg=name)


def test_checkpointed_layers_have_the_same_gradient(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss, expected = first_step(make(tiny), monkeypatch)
    again, found = first_step(make(tiny, gradient_checkpointing=True), monkeypatch)
    assert again == pytest.approx(loss, rel=1e-5)
    for name, grad in expected.items():
        torch.testing.assert_close(found[name], grad, atol=1e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize("trainable", ["full", "lora"])
def test_a_resumed_trial_equals_an_uninterrupted_one(tiny: Tiny, trainable: str) -> None:
    trial = make(tiny, trainable=trainable, rerank_k=3, augment=True)
    straight = resumed = start(trial)
    for _ in range(2):
        straight, expected = advance(trial, straight)
        resumed, step = advance(trial, decode(encode(resumed, []), "cpu")[0])
        assert step.metrics == expected.metrics
    assert {"itc_i2t_r1", "itc_t2i_r1"} < set(step.metrics)
    assert all(torch.equal(resumed.arrays[k], v) for k, v in straight.arrays.items())
    first = start(trial)
    moved = {
        name.removeprefix("weight.")
        for name, value in straight.arrays.items()
        if name.startswith("weight.") and not torch.equal(value, first.arrays[name])
    }
    assert {"matching.weight", "matching.bias"} < moved
    assert any("crossattention" in name for name in moved)


@pytest.mark.parametrize("trainable", ["full", "lora"])
def test_recalls_and_the_export_use_the_trained_head(
    tiny: Tiny, trainable: str, tmp_path: Path
) -> None:
    trial = make(tiny, trainable=trainable, rerank_k=3)
    state = start(trial)
    for _ in range(2):
        state, _ = advance(trial, state)
    card = export(trial, TASK.weights(trial, state), tmp_path)
    assert any("`itm_head`) was trained" in note for note in card.notes)
    model = transformers.BlipForImageTextRetrieval.from_pretrained(tmp_path).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    weights = {**part_of(state, "weight"), **part_of(state, "constant")}
    split = NetworkSplit.open([trial], "val", [None], weights, "cpu")
    images, rows = [split.split.load(i) for i in range(3)], [0, 2, 1]
    found = match(
        split.dual, encode_tokens(split.dual, images), torch.tensor(rows), split.captions[:3]
    )
    texts = tokenizer(
        split.captions[:3], padding=True, truncation=True, max_length=16, return_tensors="pt"
    )
    with torch.no_grad():
        expected = model(
            input_ids=texts.input_ids,
            attention_mask=texts.attention_mask,
            pixel_values=processor([images[i] for i in rows], return_tensors="pt").pixel_values,
            use_itm_head=True,
        ).itm_score
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    final = TASK.final(trial, "test")
    restored = {k: np.asarray(v) for k, v in TASK.weights(trial, state).items()}
    _, step = advance(final, TASK.restore(final, restored, {}))
    assert step.done
    assert "itc_i2t_r1" in step.metrics


def test_weight_zero_is_a_trial_without_the_loss(tiny: Tiny) -> None:
    assert make(tiny, itm_weight=0.0) == make(tiny, itm_weight=None)
    assert "matching.weight" not in network.initial_weights(make(tiny, itm_weight=None), "cpu")
