"""Re-ranking by BLIP's matching head, compared with transformers and a direct computation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from retrieval_trials import make_model_trial
from tiny_models import CAPTIONS, IMAGES

from tasks.contract import Member, ModelError, RequestError, Step
from tasks.datasets import scenes
from tasks.datasets.base import Split
from tasks.models.dual import load_dual_encoder
from tasks.models.folders import find_folder
from tasks.models.matching import encode_tokens, match
from tasks.retrieval import reranking, training
from tasks.retrieval.params import Ties
from tasks.retrieval.ranks import Ranks, rank, rank_pairs
from tasks.retrieval.reranking import LEAD, Matcher, rerank
from tasks.retrieval.stages import index_captions
from tasks.retrieval.task import TASK

SHIPPED = TASK.default_model


@pytest.mark.parametrize("model", ["tiny", "shipped"])
@torch.inference_mode()
def test_matching_logits_equal_those_of_the_library(tiny: Callable[[str], str], model: str) -> None:
    name = SHIPPED if model == "shipped" else tiny("blip")
    dual = load_dual_encoder(name, "x", "cpu", "float32")
    folder = find_folder(name)
    library = transformers.BlipForImageTextRetrieval.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = [0, 2, 1, 1, 2]
    captions = [*CAPTIONS, *CAPTIONS[:2]]
    tokens = tokenizer(captions, padding=True, return_tensors="pt")
    expected = library(
        input_ids=tokens["input_ids"],
        attention_mask=tokens["attention_mask"],
        pixel_values=processor([IMAGES[row] for row in rows], return_tensors="pt")["pixel_values"],
        use_itm_head=True,
    ).itm_score
    found = match(dual, encode_tokens(dual, IMAGES), torch.tensor(rows), captions)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def make_split(number: int = 12) -> Split:
    """Images with two captions each, of which some are those of another image."""
    drawn = scenes.load_split("val", "sweep")
    captions = [drawn.captions[i][:2] for i in range(number)]
    captions[3] = (captions[2][0], captions[3][1])
    ids = tuple(map(str, range(number)))
    return Split(image_ids=ids, captions=tuple(captions), load=drawn.load)


def embed(number: int, texts: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    both = rng.normal(size=(number, 5)), rng.normal(size=(texts, 5))
    image, text = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in both)
    return image.astype(np.float32), text.astype(np.float32)


@pytest.mark.parametrize("k", [1, 3, 100])
@pytest.mark.parametrize("chunk", [5, 512])
def test_reranked_ranks_follow_blip_s_protocol(k: int, chunk: int) -> None:
    """The score matrix of BLIP's evaluation, written out, with the others after the first k."""
    split = make_split()
    distinct, rows, owner = index_captions(split.captions)
    images, texts = embed(len(split), len(distinct))
    dual = load_dual_encoder(SHIPPED, "x", "cpu", "float32")
    matcher = Matcher(dual=dual, split=split, captions=distinct)
    scores = rerank(matcher, images, texts, rows, k=k, chunk=chunk)
    i2t, t2i = rank(scores, owner, rows, chunk=chunk)

    every = [(i, j) for i in range(len(split)) for j in range(len(distinct))]
    tokens = encode_tokens(dual, [split.load(i) for i in range(len(split))])
    logits = match(
        dual, tokens, torch.tensor([i for i, _ in every]), [distinct[j] for _, j in every]
    )
    yes = logits[:, 1].numpy().reshape(len(split), len(distinct))
    similarity = images @ texts.T

    for image in range(len(split)):
        order = sorted(range(len(distinct)), key=lambda j: -similarity[image, j])
        head = sorted(order[:k], key=lambda j: -(yes[image, j] + similarity[image, j]))
        own = {rows[c] for c in np.flatnonzero(owner == image)}
        places = head + order[k:]
        place = min(places.index(each) for each in own)
        better = sum(int((rows == each).sum()) for each in places[:place])
        assert i2t.better[image] == better
    for caption, text in enumerate(rows):
        order = sorted(range(len(split)), key=lambda i: -similarity[i, text])
        head = sorted(order[:k], key=lambda i: -(yes[i, text] + similarity[i, text]))
        assert t2i.rank[caption] == 1 + (head + order[k:]).index(owner[caption])


def test_logits_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    split = make_split()
    distinct, rows, owner = index_captions(split.captions)
    images, texts = embed(len(split), len(distinct))
    dual = load_dual_encoder(SHIPPED, "x", "cpu", "float32")
    matcher = Matcher(dual=dual, split=split, captions=distinct)
    calls: list[int] = []

    def counted(dual: Any, tokens: Any, chosen: Any, captions: list[str]) -> torch.Tensor:
        calls.append(len(captions))
        return match(dual, tokens, chosen, captions)

    monkeypatch.setattr(reranking, "match", counted)
    monkeypatch.setattr(reranking, "PAIRS", 7)
    monkeypatch.setattr(reranking, "IMAGES", 5)

    def ranked(matcher: Matcher, k: int) -> tuple[Ranks, Ranks]:
        return rank(rerank(matcher, images, texts, rows, k=k), owner, rows)

    first = ranked(matcher, 3)
    number = len(matcher.keys)
    assert sum(calls) == number
    assert np.array_equal(matcher.keys, np.unique(matcher.keys))
    again = ranked(matcher, 3)
    assert sum(calls) == number
    more = ranked(matcher, 5)
    assert sum(calls) == len(matcher.keys) > number
    fresh = Matcher(dual=dual, split=split, captions=distinct)
    for found, k in ((first, 3), (again, 3), (more, 5)):
        expected = ranked(fresh, k)
        for one, other in zip(found, expected, strict=True):
            assert np.array_equal(one.rank, other.rank)


def run(trial: Any) -> list[Step]:
    inputs = {
        s: s.function(**s.args, **({"device": "cpu"} if s.on_device else {}))
        for s in TASK.stages(trial)
    }
    state, steps = training.start(trial, inputs, "cpu"), []
    while not steps or not steps[-1].done:
        (result,) = training.advance([Member(trial=trial, state=state)], inputs, "cpu")
        assert not isinstance(result, Exception), result
        state, step = result
        steps.append(step)
    return steps


def test_trial_reports_recalls_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "SPLITS", {"train": 32, "val": 60, "test": 16})
    common = {"lr": 1e-3, "epochs": 2, "num_captions": 1, "precision": "float32"}
    plain = run(make_model_trial(SHIPPED, **common))
    both = run(make_model_trial(SHIPPED, rerank_k=8, **common))
    for before, after in zip(plain, both, strict=True):
        for name in ("i2t_r1", "t2i_r1"):
            assert after.metrics[f"itc_{name}"] == before.metrics[name]
            assert f"itc_{name}" not in before.metrics
        assert after.metrics["i2t_r10"] == pytest.approx(before.metrics["i2t_r10"], abs=0.2)
        hits = np.array(after.samples["hit1"])  # type: ignore[index]
        i2t = np.array(after.samples["direction"]) == "i2t"  # type: ignore[index]
        assert hits[i2t].mean() == after.metrics["i2t_r1"]
    assert any(a.metrics["i2t_r1"] != b.metrics["i2t_r1"] for a, b in zip(plain, both, strict=True))
    assert both[-1].metrics["i2t_r1"] > 0.5  # chance is below 0.1


@pytest.mark.parametrize(
    ("kind", "params", "error", "message"),
    [
        ("clip", {}, ModelError, "rerank_k needs a matching head, which only BLIP has"),
        ("pair", {"start": "random"}, ModelError, "rerank_k needs a matching head"),
        ("blip", {"trainable": "full"}, RequestError, "add --set itm_weight=1 to train it"),
        ("blip", {"itm_weight": 1.0}, RequestError, "set trainable=lora or full"),
        (
            *("blip", {"trainable": "full", "itm_weight": 1.0, "chunk_size": 4}),
            *(RequestError, "itm_weight needs the whole batch at a time, but got chunk_size=4"),
        ),
    ],
)
def test_unsuitable_models_are_refused(
    tiny: Callable[[str], str],
    kind: str,
    params: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    name = f"{tiny('vit')}+{tiny('bert')}" if kind == "pair" else tiny(kind)
    with pytest.raises(error, match=message):
        make_model_trial(name, rerank_k=4, **params)


def test_without_training_parameters_of_training_are_not_checked(
    tiny: Callable[[str], str],
) -> None:
    plain, *others = (
        make_model_trial(tiny("blip"), rerank_k=4, epochs=0, **params)
        for params in ({}, {"trainable": "full"}, {"trainable": "lora"}, {"itm_weight": 1.0})
    )
    assert plain.params.trainable == "head"
    assert all(other.id == plain.id for other in others)


@pytest.mark.parametrize("ties", ["expected", "strict"])
@pytest.mark.parametrize("k", [1, 2, 4, 100])
def test_candidates_with_equal_embeddings_stay_tied(k: int, ties: Ties) -> None:
    """Also if only one of them were among the first k, or if their logits differ."""
    split = make_split()
    distinct, rows, owner = index_captions(split.captions)
    images, texts = embed(len(split), len(distinct))
    images[[4, 9]], texts[[5, 8, 11]] = images[1], texts[2]
    dual = load_dual_encoder(SHIPPED, "x", "cpu", "float32")
    matcher = Matcher(dual=dual, split=split, captions=distinct)
    every = np.arange(len(split) * len(distinct), dtype=np.int64)
    logits = np.random.default_rng(1).normal(size=len(every)).astype(np.float32)
    matcher.keys, matcher.logits = every, logits
    scores = rerank(matcher, images, texts, rows, k=k)
    i2t = scores.i2t(np.arange(len(split)))
    t2i = scores.t2i(np.arange(len(rows)))
    assert (t2i[:, [4, 9]] == t2i[:, [1]]).all()
    for text in (5, 8, 11):
        assert (i2t[:, rows == text] == i2t[:, rows == 2][:, :1]).all()
    assert ((t2i > LEAD / 2).sum(1) >= min(k, len(split))).all()

    _, ranks = rank(scores, owner, rows, ties=ties)
    for caption in np.flatnonzero(np.isin(owner, [1, 4, 9])):
        better = (t2i[caption] > t2i[caption, owner[caption]]).sum()
        assert ranks.rank[caption] == 1 + better + (2 if ties == "strict" else 1)


def test_no_reranking_equals_rank_pairs_when_the_head_says_nothing() -> None:
    split = make_split()
    distinct, rows, owner = index_captions(split.captions)
    images, texts = embed(len(split), len(distinct))
    dual = load_dual_encoder(SHIPPED, "x", "cpu", "float32")
    matcher = Matcher(dual=dual, split=split, captions=distinct)
    every = np.arange(len(split) * len(distinct), dtype=np.int64)
    matcher.keys, matcher.logits = every, np.zeros(len(every), dtype=np.float32)
    for found, expected in zip(
        rank(rerank(matcher, images, texts, rows, k=4), owner, rows),
        rank_pairs(images, texts, owner, rows),
        strict=True,
    ):
        assert np.array_equal(found.rank, expected.rank)
