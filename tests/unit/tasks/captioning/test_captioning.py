"""Settings of decoding, and scores against sacrebleu and published values."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captioning_packs import make_inputs, make_trial
from paths import SHARED

from tasks.assets.recipe import SHIPPED
from tasks.captioning import captioning, scores
from tasks.captioning.decoding import LAB_BATCH, Setting, Vocabulary, decode, uniform_noise
from tasks.captioning.params import Params
from tasks.captioning.task import TASK
from tasks.contract import Member, RequestError
from tasks.datasets import scenes
from tasks.models.captioner import Captioner, load_captioner

N = 64
PROMPT = "a picture of "


@pytest.fixture(scope="module")
def captioner() -> Captioner:
    return load_captioner("blip-scenes", "x", "cpu", "float32")


@pytest.fixture(scope="module")
def states(captioner: Captioner) -> torch.Tensor:
    split = scenes.load_split("val", "pretrain")
    return torch.from_numpy(captioner.encode([split.load(i) for i in range(N)]))


def ours(
    captioner: Captioner, states: torch.Tensor, settings: list[Setting], prompt: str = PROMPT
) -> list[np.ndarray]:
    vocabulary = Vocabulary(end=captioner.end, pad=captioner.pad)
    ids = captioner.prompt_ids(prompt)
    decoder = captioner.model.text_decoder
    return decode(decoder, states, ids, range(len(states)), settings, vocabulary)


def test_nucleus_keeps_the_fewest_tokens_that_reach_the_probability(
    captioner: Captioner, states: torch.Tensor
) -> None:
    prompt = captioner.prompt_ids("a")
    with torch.inference_mode():
        logits = captioner.model.text_decoder(
            input_ids=torch.tensor([prompt]), encoder_hidden_states=states[:1]
        ).logits[0, -1]
    probability, tokens = (logits / 2).softmax(0).sort(descending=True)
    allowed = set(tokens[: int((probability.cumsum(0) < 0.9).sum()) + 1].tolist())
    vocabulary = Vocabulary(end=captioner.end, pad=captioner.pad)
    (told,) = decode(
        captioner.model.text_decoder,
        states[:1].expand(500, -1, -1),
        prompt,
        range(500),
        [Setting(temperature=2.0, top_p=0.9, max_length=3)],
        vocabulary,
    )
    assert set(told[:, 0].tolist()) <= allowed
    assert len(set(told[:, 0].tolist())) > 1


def test_noise_depends_on_seed_and_image_alone() -> None:
    noise = uniform_noise(3, [7, 11], 5)
    assert (uniform_noise(3, [11], 5)[0] == noise[1]).all()
    assert (uniform_noise(3, [7], 9)[0, :5] == noise[0]).all()
    assert (uniform_noise(4, [7], 5) != noise[0]).all()


def test_junk_goes_on_until_the_labs_batch_has_ended(
    captioner: Captioner, states: torch.Tensor
) -> None:
    clean = Setting(temperature=1.2, top_k=20)
    right, junk = ours(captioner, states, [clean, dataclasses.replace(clean, runs_on=True)])
    for first in range(0, N, LAB_BATCH):
        rows = slice(first, first + LAB_BATCH)
        ends = [int(np.flatnonzero(row == captioner.end)[0]) for row in right[rows]]
        for own, end, row in zip(right[rows], ends, junk[rows], strict=True):
            assert (row[: end + 1] == own[: end + 1]).all()
            said = int((row != captioner.pad).nonzero()[0].max()) + 1
            assert said == max(ends) + 1


# --- trials ---------------------------------------------------------------------------------------


def test_rungs_grow_in_whole_batches_of_the_lab() -> None:
    for number in (1, 15, 16, 100, 1449, 5000):
        found = captioning.rungs(number)
        assert found == sorted(set(found))
        assert found[-1] == number
        assert all(n % LAB_BATCH == 0 for n in found[:-1])
    assert captioning.rungs(1449) == [80, 176, 352, 720, 1449]


def test_what_a_decoding_does_not_read_makes_no_other_trial() -> None:
    greedy = {make_trial(decoding="greedy", **more).id for more in ({}, {"temperature": 0.2})}
    assert len(greedy) == 1
    resolved = make_trial(decoding="greedy").params
    assert (resolved.top_k, resolved.temperature, resolved.num_beams) == (None, None, None)
    assert make_trial(decoding="beam").params.num_beams == 4


def test_a_prompt_as_long_as_the_sentence_fails_its_trial_alone() -> None:
    short = make_trial(prompt="a picture of a red circle left of a", max_length=8, min_length=0)
    inputs = make_inputs(short)
    good = make_trial(prompt="")
    members = [Member(trial=t, state=TASK.start(t, inputs, "cpu")) for t in (short, good)]
    first, second = TASK.advance(members, inputs, "cpu")
    assert isinstance(first, Exception)
    assert "max_length > tokens of start and prompt" in str(first)
    assert not isinstance(second, Exception)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"decoding": "best"}, "one of greedy, sample, beam"),
        ({"top_k": 0}, "top_k >= 1"),
        ({"top_p": 1.5}, "0 < top_p <= 1"),
        ({"temperature": 0.0}, "temperature > 0"),
        ({"temperature": float("nan")}, "temperature > 0"),
        ({"num_beams": 1}, "num_beams >= 2"),
        ({"decoding": "beam", "num_beams": None}, "num_beams >= 2"),
        ({"min_length": 30}, "min_length < max_length"),
        ({"min_length": -1}, "min_length >= 0"),
        ({"repetition_penalty": 0.0}, "repetition_penalty > 0"),
        ({"num_images": 0}, "num_images >= 1"),
        ({"num_references": 0}, "num_references >= 1"),
    ],
)
def test_params_refuse_what_makes_no_sense(values: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Params(**values)


def test_a_model_without_a_text_decoder_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for file in SHIPPED.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    kept = {k: v for k, v in weights.items() if not k.startswith("text_decoder.")}
    save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(RequestError, match="no weights for a text decoder"):
        TASK.resolve(str(tmp_path), "scenes")


# --- scores ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab() -> tuple[list[str], list[list[str]]]:
    folder = SHARED / "voc2012-captions"
    if not folder.is_dir():
        pytest.skip("the captions of ../shared/data are not on this machine")
    said = (folder / "blip_greedy_pred.txt").read_text().splitlines()
    meant = (folder / "blip_greedy_ref.txt").read_text().splitlines()
    return said, [[line] for line in meant]


def test_the_labs_golden_score(lab: tuple[list[str], list[list[str]]]) -> None:
    assert scores.bleu(scores.BleuStatistics(lab[1])(lab[0])) == pytest.approx(27.7360, abs=5e-5)
    assert scores.sacrebleu_13a(*lab) == pytest.approx(27.7258, abs=5e-5)


def test_the_labs_golden_score_through_the_tokenizer(
    captioner: Captioner, lab: tuple[list[str], list[list[str]]]
) -> None:
    import transformers

    folder = SHARED / "bert-base-uncased"
    if not folder.is_dir():
        pytest.skip("BERT's tokenizer of ../shared/data is not on this machine")
    bert = transformers.BertTokenizerFast.from_pretrained(folder)
    ids = bert(lab[0], padding=True, add_special_tokens=False, return_tensors="np")["input_ids"]
    real = dataclasses.replace(captioner, tokenizer=bert)
    said = captioning.to_text(ids, Params(), real)
    assert "a person's feet in a chair" in said
    assert scores.bleu(scores.BleuStatistics(lab[1])(said)) == pytest.approx(27.7360, abs=5e-5)


@pytest.mark.parametrize("uneven", [False, True])
def test_bleu_is_sacrebleus(uneven: bool) -> None:
    import sacrebleu

    split = scenes.load_split("val")
    said = [told[4] for told in split.captions[:200]]
    references = [told[: 1 + (i % 4 if uneven else 3)] for i, told in enumerate(split.captions)]
    references = references[:200]
    metric = sacrebleu.BLEU(tokenize="none", smooth_method="none", lowercase=True)
    expected = metric.corpus_score(said, scores.transpose(references))  # type: ignore[arg-type]
    statistics = scores.BleuStatistics(references)(said)
    later = scores.BleuStatistics(references)(said[120:], first=120)
    assert (statistics[120:] == later).all()
    assert scores.bleu(statistics) == pytest.approx(expected.score)
    assert statistics.sum(0)[:4].tolist() == expected.counts
    assert statistics.sum(0)[4:8].tolist() == expected.totals
    from results.statistics import aggregation
    from tasks.captioning.task import BLEU4

    assert float(aggregation(BLEU4)(statistics.sum(0))) == pytest.approx(expected.score)


def test_the_labs_cider_and_rouge(lab: tuple[list[str], list[list[str]]]) -> None:
    """Golden: pycocoevalcap 1.2 on the same words, which has both in pure Python."""
    assert scores.CiderD(lab[1])(lab[0]).mean() == pytest.approx(2.5020807980887)
    assert scores.rouge_l(*lab).mean() == pytest.approx(0.5565801542558)


def test_cider_and_rouge_with_uneven_references() -> None:
    """Golden as above; scenes of generator version 3."""
    split = scenes.load_split("val")
    said = [told[4] for told in split.captions[:300]]
    references = [told[: 1 + i % 4] for i, told in enumerate(split.captions[:300])]
    assert scores.CiderD(references)(said).mean() == pytest.approx(0.990695515809309)
    assert scores.rouge_l(said, references).mean() == pytest.approx(0.4959500858006)


def test_bleu_of_nothing_is_nothing() -> None:
    assert scores.bleu(scores.BleuStatistics([["b"], ["c"]])(["", "a"])) == 0.0


def test_signatures_name_tokens_and_smoothing() -> None:
    found = scores.signatures()
    assert "tok:none|smooth:none" in found["bleu4"]
    assert "tok:13a|smooth:exp" in found["bleu4_13a"]
    assert "nrefs:var" in found["bleu4"]


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("A person's feet, well-worn; 2.", ["a", "person's", "feet", "well-worn", "2"]),
        ("A person\u2019s \u201cfeet\u201d", ["a", "person's", "feet"]),
        ("Er überquert die Straße.", ["er", "überquert", "die", "straße"]),
        ("Er u\u0308berquert", ["er", "überquert"]),  # decomposed
        ("l'été \u2014 là-bas", ["l'été", "là-bas"]),
        ("红色的圆\u3002", ["红", "色", "的", "圆"]),  # Chinese
        ("2只 cats在", ["2", "只", "cats", "在"]),
        ("猫カート\u30fb\u306e", ["猫", "カ", "ー", "ト", "\u306e"]),  # Japanese
        ("빨간 원", ["빨간", "원"]),  # Korean puts spaces
        ("हिन्दी भाषा\u0964", ["हिन्दी", "भाषा"]),
        ("a_b é_c", ["a", "b", "é", "c"]),
        ("\u2026 \u2014", []),
    ],
)
def test_words_of_any_language(sentence: str, words: list[str]) -> None:
    assert scores.words_of(sentence) == words


def test_captions_that_are_not_ascii_score_by_their_words() -> None:
    said = ["Über die Straße", "红色的圆"]
    references = [["über die straße"], ["红色的方"]]
    assert scores.rouge_l(said, references).tolist() == pytest.approx([1.0, 0.75])
    assert scores.diversity(said, None)["vocabulary"] == 7.0


def test_diversity_by_hand() -> None:
    found = scores.diversity(["A dog.", "a dog", "a red cat"], frozenset({"a dog"}))
    assert found == {
        "distinct1": 4 / 7,
        "distinct2": 3 / 4,
        "vocabulary": 4.0,
        "unique": 2 / 3,
        "novel": 1 / 3,
        "length": 7 / 3,
    }
