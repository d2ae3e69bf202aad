"""Evaluate the embeddings of a split: recalls, and what each query found.

P the width of the shared space
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks import process_group
from tasks.contract import Trial, TrialError
from tasks.interrupt import check_interrupt
from tasks.progress import progress_part, report_progress
from tasks.retrieval.embedding import Embedder
from tasks.retrieval.network_split import NetworkSplit
from tasks.retrieval.params import Params
from tasks.retrieval.ranked_samples import ranked_samples
from tasks.retrieval.ranks import CUTOFFS, Ranks, compare, rank, recalls
from tasks.retrieval.reranking import Matcher, open_matcher, rerank

CHUNK = 256  # number of rows of frozen features that are embedded at a time
MATCHING_COST = 9  # the cost of re-ranking, relative to embedding, in progress reports


@torch.no_grad()
def evaluate(
    trial: Trial, weights: dict[str, Tensor], split: Embedder, device: str, *, done: bool
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return metrics, and each query's expected rank and hit probabilities as samples.

    When the trial is ``done``, the samples also have what the worst queries found. Metrics and
    samples of a trial that re-ranks are those after it; ``itc_i2t_r1`` and ``itc_t2i_r1`` are
    those before. All ranks embed the split, and only rank 0 ranks it and returns something.
    """
    params, total = trial.params, split.num_images + split.num_texts
    parts = (1 + MATCHING_COST if params.rerank_k else 1) * total
    size = evaluated_at_a_time(params)
    with progress_part(0, parts, split.num_images):
        image = embed_all(split.images, weights, split.num_images, size, device)
    with progress_part(split.num_images, parts, split.num_texts):
        text = embed_all(split.texts, weights, split.num_texts, size, device)
    if not (np.isfinite(image).all() and np.isfinite(text).all()):
        raise TrialError("an embedding is not finite; lower lr, or check the model's weights")
    if process_group.current().rank:
        return {}, {}
    scores = compare(image, text, split.row)
    found = rank(scores, split.owner, split.row, ties=params.ties)
    before: dict[str, float] = {}
    if params.rerank_k:
        before = {f"itc_{name}": recalls(*found)[name] for name in ("i2t_r1", "t2i_r1")}
        with progress_part(total, parts):
            matcher = _matcher(trial, split, device)
            scores = rerank(matcher, image, text, split.row, k=params.rerank_k)
        found = rank(scores, split.owner, split.row, ties=params.ties)
    samples = _list_samples(*found)
    if done:
        places = np.asarray(samples["rank"])
        samples |= ranked_samples(split, scores, places, params.ties)
    return {**recalls(*found), **before}, samples


def _matcher(trial: Trial, split: Embedder, device: str) -> Matcher:
    """Return the matcher of a trial: its own if it trains the matching head, else a shared one."""
    if isinstance(split, NetworkSplit):
        return Matcher(dual=split.dual, split=split.split, captions=split.captions)
    return open_matcher(trial, device)


def _list_samples(i2t: Ranks, t2i: Ranks) -> dict[str, Any]:
    num_images, num_captions = len(i2t.rank), len(t2i.rank)
    samples: dict[str, Any] = {
        "direction": ["i2t"] * num_images + ["t2i"] * num_captions,
        "query": [*range(num_images), *range(num_captions)],
        "rank": np.concatenate([i2t.rank, t2i.rank]).tolist(),
    }
    for k in CUTOFFS:
        samples[f"hit{k}"] = np.concatenate([i2t.hits(k), t2i.hits(k)]).tolist()
    return samples


def evaluated_at_a_time(params: Params) -> int:
    """Return the number of images or captions that are embedded at a time."""
    return CHUNK if params.trainable == "head" else params.chunk_size or params.batch_size


def embed_all(
    embed: Callable[[dict[str, Tensor], Tensor], Tensor],
    weights: dict[str, Tensor],
    number: int,
    size: int,
    device: str,
) -> np.ndarray[Any, Any]:
    """Return all vectors [*K, N, P]. Several ranks, without K, take turns with their chunks."""
    group = process_group.current()
    own = list(range(0, number, size))[group.rank :: group.size]
    chunks = []
    for first in own:
        check_interrupt()
        report_progress(first, number)
        rows = torch.arange(first, min(first + size, number))
        chunks.append(embed(weights, rows).cpu())
    if group.size == 1:
        return np.concatenate([chunk.numpy() for chunk in chunks], axis=-2)
    width = group.largest(chunks[0].shape[1] if chunks else 0, device)
    vectors = torch.zeros(number, width, device=device)
    for first, chunk in zip(own, chunks, strict=True):
        vectors[first : first + size] = chunk.to(device)
    (vectors,) = group.add_up([vectors])  # a row is zero in all ranks but one
    return vectors.cpu().numpy()
