"""Scores of captions against references, and how varied they are.

U images; of each a caption and one or more references
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
References = Sequence[Sequence[str]]
MAX_ORDER = 4
SIGMA = 6.0  # of CIDEr-D's penalty on a difference in length
BETA = 1.2  # of ROUGE-L, as the COCO caption evaluation has it


def ngrams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    """How often each run of ``order`` words stands in a sentence."""
    return Counter(zip(*(words[i:] for i in range(order)), strict=False))


# --- BLEU -----------------------------------------------------------------------------------------


class BleuStatistics:
    """What corpus BLEU is made of, image by image.

    Both sides are lower-cased and split at white space; the reference length is the closest one,
    the shorter of two as close (Papineni et al. 2002).
    """

    def __init__(self, references: References) -> None:
        self._references = references
        self._cooked: dict[int, tuple[list[Counter[tuple[str, ...]]], list[int]]] = {}

    def _cook(self, image: int) -> tuple[list[Counter[tuple[str, ...]]], list[int]]:
        """Per order the most that any reference has of each n-gram; the references' lengths."""
        if image not in self._cooked:
            told = [reference.lower().split() for reference in self._references[image]]
            most = []
            for order in range(1, MAX_ORDER + 1):
                counts = ngrams(told[0], order)
                for other in told[1:]:
                    counts |= ngrams(other, order)
                most.append(counts)
            self._cooked[image] = (most, [len(other) for other in told])
        return self._cooked[image]

    def __call__(self, captions: Sequence[str], first: int = 0) -> Array:
        """Statistics [U, 10] of the captions of images from ``first`` on.

        Matches and totals of orders 1 to 4, lengths of caption and closest reference.
        """
        rows = []
        for image, caption in enumerate(captions, first):
            words = caption.lower().split()
            most, lengths = self._cook(image)
            matches, totals = [], []
            for order, allowed in enumerate(most, 1):
                found = ngrams(words, order)
                matches.append(sum(min(n, allowed[g]) for g, n in found.items() if g in allowed))
                totals.append(max(0, len(words) - order + 1))
            closest = min((abs(length - len(words)), length) for length in lengths)[1]
            rows.append([*matches, *totals, len(words), closest])
        return np.array(rows, dtype=np.int64).reshape(-1, 2 * MAX_ORDER + 2)


def bleu(statistics: Array, order: int = MAX_ORDER) -> float:
    """Corpus BLEU in 0..100 of statistics summed over images, without smoothing."""
    total = statistics.sum(0)
    matches, totals = total[:order], total[MAX_ORDER : MAX_ORDER + order]
    if (matches == 0).any():
        return 0.0
    said, meant = total[-2], total[-1]
    brevity = min(0.0, 1 - meant / said)
    return float(100 * math.exp(brevity + np.log(matches / totals).mean()))


def sacrebleu_13a(captions: Sequence[str], references: References) -> float:
    """BLEU-4 as sacrebleu counts it by default: 13a tokens, exponential smoothing."""
    streams = transpose(references)
    return float(_default_bleu().corpus_score(list(captions), streams).score)


def transpose(references: References) -> list[list[str | None]]:
    """sacrebleu's reference streams: the j-th of every image, None where there is none."""
    longest = max(len(told) for told in references)
    return [[told[j] if j < len(told) else None for told in references] for j in range(longest)]


def _default_bleu() -> Any:
    import sacrebleu

    return sacrebleu.BLEU()


@functools.cache
def signatures() -> Mapping[str, str]:
    """sacrebleu's signatures of both BLEU-4s; the number of references may vary by image."""
    import sacrebleu

    metrics = {
        "bleu4": sacrebleu.BLEU(tokenize="none", smooth_method="none", lowercase=True),
        "bleu4_13a": sacrebleu.BLEU(),
    }
    found = {}
    for name, metric in metrics.items():
        uneven: list[Any] = [["a b", "c"], ["a", None]]
        metric.corpus_score(["a b", "c"], uneven)
        found[name] = str(metric.get_signature())
    return found


# --- ROUGE-L and CIDEr-D --------------------------------------------------------------------------


# Scripts without spaces between words of which sentences are counted by the character: Chinese
# characters, Hiragana, Katakana.
_UNSPACED = (
    "\u3005\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff"
)


def words_of(sentence: str) -> list[str]:
    """Lower-case words without punctuation: close to the PTB tokens of the COCO evaluation.

    A word is a run of Unicode letters, digits and their combining marks, with apostrophes and
    hyphens inside it. Each Chinese character, Hiragana or Katakana is a word: those scripts put no
    spaces between words, and PTB would count a whole sentence as one.
    """
    if sentence.isascii():
        return re.findall(r"[a-z0-9]+(?:['-][a-z0-9]+)*", sentence.lower())
    composed = unicodedata.normalize("NFC", sentence).lower().replace("\u2019", "'")
    return _unicode_words().findall(composed)


@functools.cache
def _unicode_words() -> re.Pattern[str]:
    """``re`` counts vowel signs, as in Hindi, as no part of a word; so they are listed."""
    marks = (chr(c) for c in range(0x300, 0x10000) if unicodedata.category(chr(c))[0] == "M")
    word = rf"(?:[^\W_{_UNSPACED}]|[{''.join(marks)}])+"
    return re.compile(rf"[{_UNSPACED}]|{word}(?:['-]{word})*")


def rouge_l(captions: Sequence[str], references: References) -> Array:
    """ROUGE-L of each image [U], in 0..1: the best recall with the best precision (Lin 2004)."""
    scores = []
    for caption, told in zip(captions, references, strict=True):
        words = words_of(caption)
        recall = precision = 0.0
        for reference in map(words_of, told):
            common = _longest_common(words, reference)
            if words and reference:
                precision = max(precision, common / len(words))
                recall = max(recall, common / len(reference))
        both = recall + BETA**2 * precision
        scores.append((1 + BETA**2) * precision * recall / both if both else 0.0)
    return np.array(scores)


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    lengths = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for j, against in enumerate(other, 1):
            above = lengths[j]
            lengths[j] = diagonal + 1 if word == against else max(above, lengths[j - 1])
            diagonal = above
    return lengths[-1]


class CiderD:
    """CIDEr-D (Vedantam et al. 2015): n-grams weighed by how few images' references have them."""

    def __init__(self, references: References) -> None:
        cooked = [[self._count(reference) for reference in told] for told in references]
        self._frequency: Counter[tuple[str, ...]] = Counter()
        for told in cooked:
            self._frequency.update({gram for counts in told for gram in counts})
        self._log_images = math.log(max(len(cooked), 1))
        self._references = [[self._weigh(counts) for counts in told] for told in cooked]

    def __call__(self, captions: Sequence[str]) -> Array:
        """The score of each image [U], in 0..10, as the COCO evaluation scales it."""
        scores = []
        for caption, told in zip(captions, self._references, strict=True):
            vector, norms, length = self._weigh(self._count(caption))
            total = np.zeros(MAX_ORDER)
            for other, other_norms, other_length in told:
                penalty = math.exp(-((length - other_length) ** 2) / (2 * SIGMA**2))
                for order in range(MAX_ORDER):
                    both = vector[order].keys() & other[order].keys()
                    dot = sum(
                        min(vector[order][g], other[order][g]) * other[order][g] for g in both
                    )
                    scale = norms[order] * other_norms[order]
                    total[order] += penalty * (dot / scale if scale else dot)
            scores.append(10 * total.mean() / len(told))
        return np.array(scores)

    @staticmethod
    def _count(sentence: str) -> Counter[tuple[str, ...]]:
        words = words_of(sentence)
        counts: Counter[tuple[str, ...]] = Counter()
        for order in range(1, MAX_ORDER + 1):
            counts.update(ngrams(words, order))
        return counts

    def _weigh(
        self, counts: Counter[tuple[str, ...]]
    ) -> tuple[list[dict[tuple[str, ...], float]], list[float], int]:
        vector: list[dict[tuple[str, ...], float]] = [{} for _ in range(MAX_ORDER)]
        for gram, count in counts.items():
            rarity = self._log_images - math.log(max(1, self._frequency[gram]))
            vector[len(gram) - 1][gram] = count * rarity
        norms = [math.sqrt(sum(value**2 for value in part.values())) for part in vector]
        length = sum(count for gram, count in counts.items() if len(gram) == 2)
        return vector, norms, length


# --- diversity ------------------------------------------------------------------------------------


def diversity(captions: Sequence[str], known: frozenset[str] | None) -> dict[str, float]:
    """How varied captions are; ``known`` are the training references, by their words.

    ``distinct1`` and ``distinct2``: distinct n-grams among all n-grams (Li et al. 2016);
    ``vocabulary``: distinct words; ``unique``: distinct captions among all; ``novel``: those no
    training reference equals; ``length``: words a caption.
    """
    sentences = [words_of(caption) for caption in captions]
    found = {}
    for order in (1, 2):
        counts: Counter[tuple[str, ...]] = Counter()
        for words in sentences:
            counts.update(ngrams(words, order))
        found[f"distinct{order}"] = len(counts) / max(1, sum(counts.values()))
    joined = [" ".join(words) for words in sentences]
    found["vocabulary"] = float(len({word for words in sentences for word in words}))
    found["unique"] = len(set(joined)) / max(1, len(joined))
    if known is not None:
        found["novel"] = sum(sentence not in known for sentence in joined) / max(1, len(joined))
    found["length"] = sum(map(len, sentences)) / max(1, len(sentences))
    return found
