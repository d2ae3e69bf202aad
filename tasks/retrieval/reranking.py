"""Re-rank the best candidates of each query by BLIP's matching head.

N images, C captions, U distinct captions, Q queries, M candidates, k re-ranked candidates,
D embedding width, P pairs
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from tasks.contract import Source, Trial
from tasks.datasets.base import Split
from tasks.datasets.registry import load_split
from tasks.interrupt import check_interrupt
from tasks.models.dual import load_dual_encoder
from tasks.models.encoders import DualEncoder
from tasks.models.matching import encode_tokens, match
from tasks.models.texts import adapt_texts
from tasks.progress import report_progress
from tasks.retrieval import stages
from tasks.retrieval.ranks import Indices, Scores, distinct

IMAGES = 16  # number of images whose tokens are in memory
PAIRS = 64  # pairs of a batch
#: Added to the scores of re-ranked candidates, so that they precede the others. Scores are float64,
#: in which the differences of the others keep more digits than they have.
LEAD = 1e4


@dataclass
class Matcher:
    """The matching logits of a split's pairs, computed when first needed, and then kept.

    The matching head and the encoders are frozen, so all trials and epochs share the logits.
    """

    dual: DualEncoder
    split: Split
    captions: Sequence[str]  # distinct
    #: The known pairs in order, each as image * U + text, and their logits.
    keys: NDArray[np.int64] = field(default_factory=lambda: np.array([], dtype=np.int64))
    logits: NDArray[np.float32] = field(default_factory=lambda: np.array([], dtype=np.float32))

    def compute(self, images: Int[np.ndarray, " P"], texts: Int[np.ndarray, " P"]) -> None:
        """Compute the logits of pairs of images and distinct captions, if they are not known."""
        wanted = np.setdiff1d(images * len(self.captions) + texts, self.keys)  # in order of images
        owners = wanted // len(self.captions)
        ends = np.flatnonzero(np.diff(owners, append=-1)) + 1  # the end of each image's pairs
        first = 0
        for number in range(0, len(ends), IMAGES):
            report_progress(number, len(ends))
            last = ends[number : number + IMAGES][-1]
            keys = wanted[first:last]
            logits = np.concatenate([self.logits, self._match(keys)])
            order = np.argsort(known := np.concatenate([self.keys, keys]))
            self.keys, self.logits = known[order], logits[order]
            first = last

    def _match(self, keys: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits of the pairs of a few images."""
        images, texts = np.divmod(keys, len(self.captions))
        distinct, rows = np.unique(images, return_inverse=True)
        tokens = encode_tokens(self.dual, [self.split.load(int(image)) for image in distinct])
        found = []
        for first in range(0, len(keys), PAIRS):
            check_interrupt()
            captions = [self.captions[text] for text in texts[first : first + PAIRS]]
            chosen = torch.from_numpy(rows[first : first + PAIRS])
            found.append(match(self.dual, tokens, chosen, captions)[:, 1].cpu().numpy())
        return np.concatenate(found)

    def read(
        self, images: Int[np.ndarray, " P"], texts: Int[np.ndarray, " P"]
    ) -> Float[np.ndarray, " P"]:
        """Return the logits of pairs that ``compute`` computed."""
        at = np.searchsorted(self.keys, images * len(self.captions) + texts)
        return np.asarray(self.logits[at])


def open_matcher(trial: Trial, device: str) -> Matcher:
    """Return the matcher of a trial's split, which trials in this process share."""
    params = trial.params
    texts = (params.num_captions, params.max_tokens, params.lower_case)
    return _open(trial.model, trial.data, params.split, texts, device, params.precision)


@lru_cache(maxsize=2)
def _open(
    model: Source,
    data: Source,
    split: str,
    texts: tuple[int | None, int | None, bool | None],
    device: str,
    precision: str,
) -> Matcher:
    num_captions, max_tokens, lower_case = texts
    loaded = load_split(data.name, split)
    captions, _, _ = stages.index_captions(loaded.captions, num_captions)
    dual = load_dual_encoder(model.name, model.fingerprint, device, precision)
    dual = adapt_texts(dual, max_tokens, lower_case)
    return Matcher(dual=dual, split=loaded, captions=captions)


def rerank(
    matcher: Matcher,
    images: Float[np.ndarray, "N D"],
    texts: Float[np.ndarray, "U D"],
    rows: Int[np.ndarray, " C"],
    *,
    k: int,
    chunk: int = 512,
) -> Scores:
    """Return scores that rank the first ``k`` candidates of each query by their matching logit.

    As in BLIP (salesforce/BLIP, train_retrieval.py), the score of a re-ranked candidate is the
    logit of "yes" plus the dot product. All others follow in the order of their dot products. The
    candidates of an image are distinct captions. Candidates with equal embeddings count as one of
    the ``k`` and have the logit of the first of them, so that they stay tied.

    Args:
        matcher: the matcher of the split.
        images: embeddings of the images.
        texts: embeddings of the distinct captions.
        rows: the distinct caption of each caption.
        k: the number of candidates to re-rank.
        chunk: number of queries whose best candidates are found at a time.
    """
    scored_texts, text_column = distinct(texts)
    scored_images, image_column = distinct(images)
    first_text, first_image = (
        np.unique(column, return_index=True)[1] for column in (text_column, image_column)
    )
    best_texts = _find_best(images, scored_texts, k, chunk)
    best_images = _find_best(texts, scored_images, k, chunk)
    pairs = np.concatenate(
        [
            _list_pairs(first_text[best_texts]),
            _list_pairs(first_image[best_images])[:, ::-1],
        ]
    )
    matcher.compute(pairs[:, 0], pairs[:, 1])

    def i2t(queries: Indices) -> NDArray[Any]:
        best = best_texts[queries]
        logits = matcher.read(np.repeat(queries, best.shape[1]), first_text[best].ravel())
        return _insert(images[queries] @ scored_texts.T, best, logits)[:, text_column[rows]]

    def t2i(queries: Indices) -> NDArray[Any]:
        best = best_images[rows[queries]]
        logits = matcher.read(first_image[best].ravel(), np.repeat(rows[queries], best.shape[1]))
        return _insert(texts[rows[queries]] @ scored_images.T, best, logits)[:, image_column]

    return Scores(i2t=i2t, t2i=t2i, num_images=len(images))


def _find_best(
    queries: Float[np.ndarray, "Q D"], candidates: Float[np.ndarray, "M D"], k: int, chunk: int
) -> Int[np.ndarray, "Q k"]:
    """Return the ``k`` candidates with the highest dot product; of equal ones the first."""
    found = []
    for first in range(0, len(queries), chunk):
        scores = queries[first : first + chunk] @ candidates.T
        found.append(np.argsort(-scores, axis=1, kind="stable")[:, :k])
    return np.concatenate(found)


def _list_pairs(best: Int[np.ndarray, "Q k"]) -> NDArray[np.intp]:
    """Return (query, candidate) for all best candidates, [Q * k, 2]."""
    return np.stack([np.repeat(np.arange(len(best)), best.shape[1]), best.ravel()], axis=1)


def _insert(
    scores: Float[np.ndarray, "Q M"], best: Int[np.ndarray, "Q k"], logits: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return dot products in which the best candidates have their matching score, and lead."""
    wide = scores.astype(np.float64)
    values = np.take_along_axis(wide, best, axis=1) + logits.reshape(best.shape)
    np.put_along_axis(wide, best, values + LEAD, axis=1)
    return wide
