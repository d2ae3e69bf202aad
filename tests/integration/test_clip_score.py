"""CLIPScore and RefCLIPScore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from captioning_packs import make_inputs, make_trial
from tiny_models import save_tiny
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

from tasks.captioning.captioning import score
from tasks.captioning.clip_score import clip_scores, clip_stage, resolve_clip, score_captions
from tasks.captioning.task import TASK
from tasks.contract import Member, RequestError, Source
from tasks.datasets.registry import load_split
from tasks.models import folders

CAPTIONS = ["a red circle", "a small blue square left of a green star", "a star"]


def test_scores_follow_their_definitions() -> None:
    images = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    texts = np.array([[0.6, 0.8], [-1.0, 0.0], [0.0, 1.0]])
    references = [np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[1.0, 0.0]]), np.array([[0.0, 1]])]
    found = clip_scores(images, texts, references)
    assert found["clip_score"] == pytest.approx([2.5 * 0.6, 0, 2.5])
    # Harmonic means of 1.5 and 0.8, of 0 and 0, and of 2.5 and 1.
    assert found["ref_clip_score"] == pytest.approx([2 * 1.5 * 0.8 / 2.3, 0, 2 * 2.5 / 3.5])


def test_scores_are_those_of_the_library_by_hand(tmp_path: Path) -> None:
    folder = save_tiny("clip", tmp_path)
    trial = make_trial(clip=str(folder), num_images=3, num_references=2)
    stage = clip_stage(trial)
    assert stage is not None
    inputs = {stage: stage.function(**stage.args, device="cpu")}
    found = score_captions(CAPTIONS, trial, inputs, "cpu")

    model = CLIPModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    processor = AutoImageProcessor.from_pretrained(folder)
    split = load_split(trial.data.name, "val")

    def unit(vectors: Any) -> torch.Tensor:
        vectors = getattr(vectors, "pooler_output", vectors)
        return torch.nn.functional.normalize(vectors, dim=-1)

    def embed(texts: list[str]) -> torch.Tensor:
        given = [f"A photo depicts {text}" for text in texts]
        tokens = tokenizer(given, padding=True, truncation=True, max_length=16, return_tensors="pt")
        keys = {k: tokens[k] for k in ("input_ids", "attention_mask")}
        return unit(model.get_text_features(**keys))

    with torch.inference_mode():
        for row, caption in enumerate(CAPTIONS):
            pixels = processor(images=[split.load(row)], return_tensors="pt")["pixel_values"]
            image, text = (
                unit(model.get_image_features(pixel_values=pixels))[0],
                embed([caption])[0],
            )
            references = embed(list(split.captions[row][:2]))
            expected = 2.5 * max(0.0, float(image @ text))
            nearest = max(0.0, float((references @ text).max()))
            assert found["clip_score"][row] == pytest.approx(expected, abs=1e-5)
            total = expected + nearest
            harmonic = 2 * expected * nearest / total if total else 0.0
            assert found["ref_clip_score"][row] == pytest.approx(harmonic, abs=1e-5)


def test_a_trial_reports_the_scores_and_ids_depend_on_the_content(tmp_path: Path) -> None:
    plain = make_trial(num_images=3, decoding="greedy")
    trial = make_trial(num_images=3, decoding="greedy", clip="blip-scenes")
    moved = save_tiny("clip", tmp_path / "one")
    copied = save_tiny("clip", tmp_path / "two")
    assert trial.id != plain.id
    assert make_trial(clip=str(moved)).id == make_trial(clip=str(copied)).id
    assert TASK.normalize(trial) == trial
    stage = clip_stage(trial)
    assert stage is not None
    inputs = {**make_inputs(trial), stage: stage.function(**stage.args, device="cpu")}
    member = Member(trial=trial, state=TASK.start(trial, inputs, "cpu"))
    (result,) = TASK.advance([member], inputs, "cpu")
    assert not isinstance(result, Exception)
    step = result[1]
    assert step.samples is not None
    for name in ("clip_score", "ref_clip_score"):
        assert step.metrics[name] == pytest.approx(np.mean(step.samples[name]))
    captions, statistics = step.samples["caption"], np.array(step.samples["bleu_statistics"])
    expected, _ = score(captions, statistics, trial)
    assert {name: step.metrics[name] for name in expected} == expected


@pytest.mark.parametrize("name", ["clip#2", "a#b/clip", "clip#0123456789abcdef"])
def test_a_path_with_the_separator_is_resolved(name: str, tmp_path: Path) -> None:
    folder = save_tiny("clip", tmp_path / name)
    resolved = resolve_clip(str(folder))
    assert resolved == f"{folder}#{folders.resolve(str(folder)).fingerprint}"
    assert resolve_clip(resolved) == resolved


def test_a_fingerprint_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = save_tiny("clip", tmp_path)
    with pytest.raises(RequestError, match=r"has changed: its fingerprint is .*start a new sweep"):
        resolve_clip(f"{folder}#0123456789abcdef")
    with pytest.raises(RequestError, match="no such model folder"):
        resolve_clip(f"{folder}#none")


def test_a_model_is_resolved_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved: list[str] = []

    def count(name: str) -> Source:
        resolved.append(name)
        return original(name)

    folder, original = str(save_tiny("clip", tmp_path)), folders.resolve
    monkeypatch.setattr(folders, "resolve", count)
    before = resolve_clip(folder)
    assert resolve_clip(folder) == before
    assert resolved == [folder]
    config = tmp_path / "config.json"
    config.write_text(config.read_text() + "\n")
    assert resolve_clip(folder) != before
    assert resolved == [folder, folder]


def test_a_model_from_the_hub_is_found_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[str] = []

    def download(name: str, **options: Any) -> str:
        requests.append(name)
        return str(tmp_path)

    save_tiny("clip", tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    first = resolve_clip("lab/clip")
    number = len(requests)
    assert resolve_clip("lab/clip") == first
    assert len(requests) == number


@pytest.mark.parametrize("name", ["~no-such-user/clip", "./" + "x" * 5000, "a\0b"])
def test_an_impossible_path_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="no model"):
        resolve_clip(name)


def test_a_model_without_heads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no pretrained heads for images and texts; use a"):
        make_trial(clip=str(save_tiny("bert", tmp_path)))
