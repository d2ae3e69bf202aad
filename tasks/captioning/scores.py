"""Scores of captions against references, and measures of their diversity.

U images, each with a caption and one or more references
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
SIGMA = 6.0  # of CIDEr-D's penalty for a difference in length
BETA = 1.2  # of ROUGE-L, as in the COCO caption evaluation


def ngrams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    """Count the n-grams of ``order`` words in a sentence."""
    return Counter(zip(*(words[i:] for i in range(order)), strict=False))


# --- BLEU -----------------------------------------------------------------------------------------


class BleuStatistics:
    """Computes the statistics of corpus BLEU image by image.

    Captions and references are lowercased and split at white space. The reference length is the
    closest one, and the shorter of two that are equally close (Papineni et al. 2002).
    """

    def __init__(self, references: References) -> None:
        self._references = references
        self._cache: dict[int, tuple[list[Counter[tuple[str, ...]]], list[int]]] = {}

    def _count(self, image: int) -> tuple[list[Counter[tuple[str, ...]]], list[int]]:
        """Return, by order, the maximum count of each n-gram in a reference; and the lengths."""
        if image not in self._cache:
            sentences = [reference.lower().split() for reference in self._references[image]]
            maxima = []
            for order in range(1, MAX_ORDER + 1):
                counts = ngrams(sentences[0], order)
                for other in sentences[1:]:
                    counts |= ngrams(other, order)
                maxima.append(counts)
            self._cache[image] = (maxima, [len(other) for other in sentences])
        return self._cache[image]

    def __call__(self, captions: Sequence[str], first: int = 0) -> Array:
        """Return the statistics [U, 10] of captions of the images from index ``first`` on.

        They are the matches of orders 1 to 4, the totals of orders 1 to 4, the length of the
        caption, and the length of the closest reference.
        """
        rows = []
        for image, caption in enumerate(captions, first):
            words = caption.lower().split()
            maxima, lengths = self._count(image)
            matches, totals = [], []
            for order, allowed in enumerate(maxima, 1):
                found = ngrams(words, order)
                matches.append(sum(min(n, allowed[g]) for g, n in found.items() if g in allowed))
                totals.append(max(0, len(words) - order + 1))
            closest = min((abs(length - len(words)), length) for length in lengths)[1]
            rows.append([*matches, *totals, len(words), closest])
        return np.array(rows, dtype=np.int64).reshape(-1, 2 * MAX_ORDER + 2)


def bleu(statistics: Array, order: int = MAX_ORDER) -> float:
    """Return corpus BLEU in 0..100 from statistics [U, 10], without smoothing."""
    total = statistics.sum(0)
    matches, totals = total[:order], total[MAX_ORDER : MAX_ORDER + order]
    if (matches == 0).any():
        return 0.0
    length, reference_length = total[-2], total[-1]
    brevity = min(0.0, 1 - reference_length / length)
    return float(100 * math.exp(brevity + np.log(matches / totals).mean()))


def self_bleu(samples: Sequence[Sequence[str]]) -> float:
    """Return the mean corpus BLEU-4 of each sample's captions against those of the other samples.

    Lower is more diverse (Zhu et al. 2018; for captions of one image, Shetty et al. 2017).
    ``samples`` holds the captions of all images [U] for each sample.
    """
    found = []
    for number, captions in enumerate(samples):
        others = [each for index, each in enumerate(samples) if index != number]
        found.append(bleu(BleuStatistics(list(zip(*others, strict=True)))(captions)))
    return float(np.mean(found))


def sacrebleu_13a(captions: Sequence[str], references: References) -> float:
    """Return BLEU-4 with sacrebleu's defaults: 13a tokens and exponential smoothing."""
    streams = transpose(references)
    return float(_default_bleu().corpus_score(list(captions), streams).score)


def transpose(references: References) -> list[list[str | None]]:
    """Return sacrebleu's reference streams: the j-th reference of every image, or None."""
    longest = max(len(texts) for texts in references)
    return [[texts[j] if j < len(texts) else None for texts in references] for j in range(longest)]


def _default_bleu() -> Any:
    import sacrebleu

    return sacrebleu.BLEU()


@functools.cache
def signatures() -> Mapping[str, str]:
    """Return sacrebleu's signatures of both BLEU-4 metrics, for a varying number of references."""
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


# Scripts without spaces between words, in which each character counts as a word: Chinese, Hiragana
# and Katakana.
_UNSPACED = (
    "\u3005\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff"
)


def words_of(sentence: str) -> list[str]:
    """Return lowercase words without punctuation, similar to the COCO evaluation's PTB tokens.

    A word is a sequence of Unicode letters, digits and combining marks, and may contain apostrophes
    and hyphens. Each Chinese character, Hiragana or Katakana is a word, because these scripts have
    no spaces: PTB would count a whole sentence as one word.
    """
    if sentence.isascii():
        return re.findall(r"[a-z0-9]+(?:['-][a-z0-9]+)*", sentence.lower())
    composed = unicodedata.normalize("NFC", sentence).lower().replace("\u2019", "'")
    return _unicode_words().findall(composed)


@functools.cache
def _unicode_words() -> re.Pattern[str]:
    """Return the pattern of a word. It lists vowel signs, which ``\\w`` does not match."""
    marks = (chr(c) for c in range(0x300, 0x10000) if unicodedata.category(chr(c))[0] == "M")
    word = rf"(?:[^\W_{_UNSPACED}]|[{''.join(marks)}])+"
    return re.compile(rf"[{_UNSPACED}]|{word}(?:['-]{word})*")


def rouge_l(captions: Sequence[str], references: References) -> Array:
    """Return ROUGE-L of each image [U], in 0..1 (Lin 2004).

    It combines the best recall and the best precision over the references.
    """
    scores = []
    for caption, texts in zip(captions, references, strict=True):
        words = words_of(caption)
        recall = precision = 0.0
        for reference in map(words_of, texts):
            common = _longest_common(words, reference)
            if words and reference:
                precision = max(precision, common / len(words))
                recall = max(recall, common / len(reference))
        divisor = recall + BETA**2 * precision
        scores.append((1 + BETA**2) * precision * recall / divisor if divisor else 0.0)
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
    """CIDEr-D (Vedantam et al. 2015): n-gram similarity with TF-IDF weights."""

    def __init__(self, references: References) -> None:
        counted = [[self._count(reference) for reference in texts] for texts in references]
        self._frequency: Counter[tuple[str, ...]] = Counter()
        for all_counts in counted:
            self._frequency.update({gram for counts in all_counts for gram in counts})
        self._log_images = math.log(max(len(counted), 1))
        self._references = [[self._weigh(counts) for counts in texts] for texts in counted]

    def __call__(self, captions: Sequence[str]) -> Array:
        """Return the score of each image [U], in 0..10, the scale of the COCO evaluation."""
        scores = []
        for caption, references in zip(captions, self._references, strict=True):
            vector, norms, length = self._weigh(self._count(caption))
            total = np.zeros(MAX_ORDER)
            for other, other_norms, other_length in references:
                penalty = math.exp(-((length - other_length) ** 2) / (2 * SIGMA**2))
                for order in range(MAX_ORDER):
                    # In the caption's order: that of a set changes with each process.
                    common = [gram for gram in vector[order] if gram in other[order]]
                    dot = sum(
                        min(vector[order][g], other[order][g]) * other[order][g] for g in common
                    )
                    scale = norms[order] * other_norms[order]
                    total[order] += penalty * (dot / scale if scale else dot)
            scores.append(10 * total.mean() / len(references))
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
        """Return the TF-IDF vectors and their norms by order, and the number of bigrams."""
        vector: list[dict[tuple[str, ...], float]] = [{} for _ in range(MAX_ORDER)]
        for gram, count in counts.items():
            rarity = self._log_images - math.log(max(1, self._frequency[gram]))
            vector[len(gram) - 1][gram] = count * rarity
        norms = [math.sqrt(sum(value**2 for value in part.values())) for part in vector]
        length = sum(count for gram, count in counts.items() if len(gram) == 2)
        return vector, norms, length


# --- diversity ------------------------------------------------------------------------------------


def diversity(captions: Sequence[str], known: frozenset[str] | None) -> dict[str, float]:
    """Measure the diversity of captions. ``known`` contains the words of the training captions.

    ``distinct1``, ``distinct2``: fraction of n-grams that are distinct (Li et al. 2016).
    ``vocabulary``: number of distinct words. ``unique``: fraction of captions that are distinct.
    ``novel``: fraction of captions that equal no training caption. ``length``: mean number of
    words per caption.
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
