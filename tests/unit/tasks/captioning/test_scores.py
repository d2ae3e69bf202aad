"""Scores compared with sacrebleu, pycocoevalcap and the lab's numbers."""

from __future__ import annotations

import dataclasses

import pytest
from paths import SHARED

from tasks.captioning import captioning, scores
from tasks.captioning.params import Params
from tasks.datasets import scenes
from tasks.models.captioner import Captioner, load_captioner


@pytest.fixture(scope="module")
def captioner() -> Captioner:
    return load_captioner("blip-scenes", "x", "cpu", "float32")


@pytest.fixture(scope="module")
def lab() -> tuple[list[str], list[list[str]]]:
    folder = SHARED / "voc2012-captions"
    if not folder.is_dir():
        pytest.skip("the captions of ../shared/data are not on this machine")
    captions = (folder / "blip_greedy_pred.txt").read_text().splitlines()
    references = (folder / "blip_greedy_ref.txt").read_text().splitlines()
    return captions, [[line] for line in references]


def test_bleu_matches_the_score_of_the_lab(lab: tuple[list[str], list[list[str]]]) -> None:
    assert scores.bleu(scores.BleuStatistics(lab[1])(lab[0])) == pytest.approx(27.7360, abs=5e-5)
    assert scores.sacrebleu_13a(*lab) == pytest.approx(27.7258, abs=5e-5)


def test_bleu_through_the_tokenizer_matches_the_score_of_the_lab(
    captioner: Captioner, lab: tuple[list[str], list[list[str]]]
) -> None:
    import transformers

    folder = SHARED / "bert-base-uncased"
    if not folder.is_dir():
        pytest.skip("BERT's tokenizer of ../shared/data is not on this machine")
    bert = transformers.BertTokenizerFast.from_pretrained(folder)
    ids = bert(lab[0], padding=True, add_special_tokens=False, return_tensors="np")["input_ids"]
    real = dataclasses.replace(captioner, tokenizer=bert)
    captions = captioning.to_text(ids, Params(), real)
    assert "a person's feet in a chair" in captions
    assert scores.bleu(scores.BleuStatistics(lab[1])(captions)) == pytest.approx(27.7360, abs=5e-5)


@pytest.mark.parametrize("uneven", [False, True])
def test_bleu_matches_sacrebleu(uneven: bool) -> None:
    import sacrebleu

    split = scenes.load_split("val")
    captions = [texts[4] for texts in split.captions[:200]]
    references = [texts[: 1 + (i % 4 if uneven else 3)] for i, texts in enumerate(split.captions)]
    references = references[:200]
    metric = sacrebleu.BLEU(tokenize="none", smooth_method="none", lowercase=True)
    expected = metric.corpus_score(captions, scores.transpose(references))  # type: ignore[arg-type]
    statistics = scores.BleuStatistics(references)(captions)
    later = scores.BleuStatistics(references)(captions[120:], first=120)
    assert (statistics[120:] == later).all()
    assert scores.bleu(statistics) == pytest.approx(expected.score)
    assert statistics.sum(0)[:4].tolist() == expected.counts
    assert statistics.sum(0)[4:8].tolist() == expected.totals
    from results.statistics import aggregation
    from tasks.captioning.task import BLEU4

    assert float(aggregation(BLEU4)(statistics.sum(0))) == pytest.approx(expected.score)


def test_cider_and_rouge_match_pycocoevalcap(lab: tuple[list[str], list[list[str]]]) -> None:
    """Golden numbers: pycocoevalcap 1.2 on the same words, which has both in pure Python."""
    assert scores.CiderD(lab[1])(lab[0]).mean() == pytest.approx(2.5020807980887)
    assert scores.rouge_l(*lab).mean() == pytest.approx(0.5565801542558)


def test_cider_and_rouge_match_pycocoevalcap_with_uneven_references() -> None:
    """Golden numbers as above, for scenes of generator version 3."""
    split = scenes.load_split("val")
    captions = [texts[4] for texts in split.captions[:300]]
    references = [texts[: 1 + i % 4] for i, texts in enumerate(split.captions[:300])]
    assert scores.CiderD(references)(captions).mean() == pytest.approx(0.990695515809309)
    assert scores.rouge_l(captions, references).mean() == pytest.approx(0.4959500858006)


def test_bleu_of_empty_captions_is_zero() -> None:
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
    captions = ["Über die Straße", "红色的圆"]
    references = [["über die straße"], ["红色的方"]]
    assert scores.rouge_l(captions, references).tolist() == pytest.approx([1.0, 0.75])
    assert scores.diversity(captions, None)["vocabulary"] == 7.0


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


def test_self_bleu_is_the_mean_over_the_samples() -> None:
    samples = [["a red circle on top", "one"], ["a red circle on top", "two"]]
    assert scores.self_bleu([samples[0], samples[0]]) == pytest.approx(100)
    by_hand = [
        scores.bleu(scores.BleuStatistics([[text] for text in other])(one))
        for one, other in (samples, samples[::-1])
    ]
    assert scores.self_bleu(samples) == pytest.approx(sum(by_hand) / 2)
    assert scores.self_bleu([["a b c d"], ["e f g h"], ["i j k l"]]) == 0
