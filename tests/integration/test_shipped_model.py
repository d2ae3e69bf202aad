"""The shipped model: it loads in transformers, has its recorded scores, and its recipe learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from tasks.assets import recipe
from tasks.datasets import scenes

FOLDER = recipe.SHIPPED
N = 1449  # held-out scenes of the model's own style


@pytest.fixture(scope="module", autouse=True)
def quiet() -> None:
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    return json.loads((FOLDER / "scores.json").read_text())


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    processor = transformers.AutoImageProcessor.from_pretrained(FOLDER)
    split = scenes.load_split("val", "pretrain")
    assert len(split) == N
    images = [split.load(i) for i in range(N)]
    return processor(images, return_tensors="pt")["pixel_values"]


def test_model_is_small_and_not_pickled() -> None:
    files = [f for f in FOLDER.rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in files) <= 6_000_000
    assert {f.suffix for f in files} <= {".json", ".safetensors", ".txt", ".md"}


@pytest.mark.parametrize("family", ["BlipForConditionalGeneration", "BlipForImageTextRetrieval"])
def test_both_model_classes_find_every_weight(family: str) -> None:
    model, info = getattr(transformers, family).from_pretrained(FOLDER, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["mismatched_keys"]
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_the_tokenizer_knows_every_caption_of_both_styles() -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER)
    flat = [
        caption
        for style in ("pretrain", "sweep")
        for split in ("train", "val", "test")
        for captions in scenes.load_split(split, style).captions[:300]
        for caption in captions
    ] + ["a picture of", "this is a", "this image depicts"]
    ids = tokenizer(flat)["input_ids"]
    assert all(tokenizer.unk_token_id not in row for row in ids)
    assert tokenizer.batch_decode(ids, skip_special_tokens=True) == flat
    assert tokenizer("a zeppelin")["input_ids"].count(tokenizer.unk_token_id) == 1


def _ranks(similarity: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The number of wrong candidates that score at least as high as the best correct one."""
    best = np.where(own, similarity, -np.inf).max(1, keepdims=True)
    return ((similarity >= best) & ~own).sum(1)


@torch.inference_mode()
def test_recorded_recalls(pixels: torch.Tensor, recorded: dict[str, Any]) -> None:
    model = transformers.BlipForImageTextRetrieval.from_pretrained(FOLDER).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER)
    captions = scenes.load_split("val", "pretrain").captions
    flat = [caption for five in captions for caption in five]
    tokens = tokenizer(flat, padding=True, return_tensors="pt")
    # The parts of the model's own forward, which the recipe does not use.
    texts, images = [], []
    for first in range(0, N, 100):
        rows = slice(5 * first, min(5 * first + 500, 5 * N))
        out = model.text_encoder(
            tokens["input_ids"][rows], attention_mask=tokens["attention_mask"][rows]
        )
        texts.append(model.text_proj(out[0][:, 0]).numpy())
        images.append(model.vision_proj(model.vision_model(pixels[first : first + 100])[0][:, 0]))
    text, image = np.concatenate(texts), torch.cat(images).numpy()
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    image /= np.linalg.norm(image, axis=1, keepdims=True)
    similarity = image @ text.T
    forward = model(
        input_ids=tokens["input_ids"][:20],
        attention_mask=tokens["attention_mask"][:20],
        pixel_values=pixels[:20],
        use_itm_head=False,
    )[0].numpy()
    np.testing.assert_allclose(forward, similarity[:20, :20], atol=1e-4)
    own = np.arange(N)[:, None] == np.repeat(np.arange(N), 5)[None]
    i2t, t2i = _ranks(similarity, own), _ranks(similarity.T, own.T)
    for name, ranks in (("i2t", i2t), ("t2i", t2i)):
        for k in (1, 5):
            assert np.mean(ranks < k) == pytest.approx(recorded[f"{name}_r{k}"], abs=0.006)


@torch.inference_mode()
def test_matching_head_prefers_the_correct_caption(
    pixels: torch.Tensor, recorded: dict[str, Any]
) -> None:
    model = transformers.BlipForImageTextRetrieval.from_pretrained(FOLDER).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER)
    captions = [five[0] for five in scenes.load_split("val", "pretrain").captions[:200]]
    tokens = tokenizer(captions, padding=True, return_tensors="pt")

    def fit(rows: torch.Tensor) -> torch.Tensor:
        chosen = {name: value[rows] for name, value in tokens.items()}
        logits = model(**chosen, pixel_values=pixels[:200], use_itm_head=True)[0]
        return logits[:, 1] - logits[:, 0]

    own = torch.arange(200)
    share = float((fit(own) > fit(own.roll(1))).float().mean())
    assert share == pytest.approx(recorded["matching_accuracy"], abs=0.06)  # of 200, not of 1449
    assert share > 0.75  # 0.5 is chance


@torch.inference_mode()
def test_recorded_bleu(pixels: torch.Tensor, recorded: dict[str, Any]) -> None:
    sacrebleu = pytest.importorskip("sacrebleu", reason="sacrebleu scores the captions")
    model = transformers.BlipForConditionalGeneration.from_pretrained(FOLDER).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER)
    ids = model.generate(pixel_values=pixels, max_new_tokens=recipe.MAX_TOKENS, do_sample=False)
    generated = tokenizer.batch_decode(ids, skip_special_tokens=True)
    captions = scenes.load_split("val", "pretrain").captions
    metric = sacrebleu.BLEU(tokenize="none", smooth_method="none", lowercase=True)
    for number, name in ((1, "one_reference"), (5, "five_references")):
        references = [[five[k] for five in captions] for k in range(number)]
        score = metric.corpus_score(generated, references).score
        assert score == pytest.approx(recorded[f"bleu4_{name}"], abs=0.5)
    assert recorded["bleu4_one_reference"] > 15


def test_recipe_measures_the_recorded_scores(recorded: dict[str, Any]) -> None:
    for name, value in recipe.measure(FOLDER).items():
        assert value == pytest.approx(recorded[name], rel=0.03), name


def test_recorded_scores_match_generator_and_weights(recorded: dict[str, Any]) -> None:
    assert recorded["generator"] == scenes.fingerprint(), (
        "the scenes changed since the model was trained: run python -m tasks.assets.recipe"
    )
    assert recorded["training_seconds"] <= 30 * 60
    assert recorded["weights"] == recipe.hash_weights(FOLDER), (
        "the weights are not those of scores.json: run python -m tasks.assets.recipe"
    )


def test_short_run_of_the_recipe_learns(tmp_path: Path) -> None:
    pytest.importorskip("sacrebleu", reason="the recipe scores its captions with sacrebleu")
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        curve = recipe.train(tmp_path, steps=120, batch=32, workers=0)
        before = recipe.measure(tmp_path, 200)
        matching = recipe.train_matching(tmp_path, first=120 * 32, steps=4, batch=32, workers=0)
        after = recipe.measure(tmp_path, 200)
    finally:
        torch.set_num_threads(threads)
    assert (len(curve), len(matching)) == (120, 4)
    assert np.mean(curve[-10:]) < 0.75 * np.mean(curve[:10])
    assert 0.005 < after["i2t_r1"] < 0.2  # a short run is no substitute for the whole
    for scores in (before, after):
        del scores["matching_accuracy"], scores["matching_accuracy_hardest"]
    assert after == before  # matching learns without moving an embedding or a caption
