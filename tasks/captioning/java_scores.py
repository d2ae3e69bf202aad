"""METEOR and SPICE of a trial's captions, which are measured only if a trial asks for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from tasks.captioning import java, meteor, spice
from tasks.captioning.params import Params

Samples = dict[str, list[Any]]


def check_java(params: Params) -> Params:
    """Check that the programs that a trial needs are here, and make ``spice`` an absolute path.

    Raises:
        RequestError: if Java, pycocoevalcap or a jar is missing.
    """
    if params.meteor:
        java.find_package(meteor.OPTION)
        java.find_java(meteor.OPTION)
    if params.spice is None:
        return params
    spice.check_spice(params.spice)
    return dataclasses.replace(params, spice=spice.resolve_spice(params.spice))


def score_with_java(
    captions: Sequence[str], references: Sequence[Sequence[str]], params: Params
) -> tuple[dict[str, float], Samples]:
    """Return METEOR and SPICE in 0..1, and their samples; nothing if a trial asks for neither."""
    metrics: dict[str, float] = {}
    samples: Samples = {}
    if not params.meteor and params.spice is None:
        return metrics, samples
    option = meteor.OPTION if params.meteor else f"spice={params.spice}"
    tokens = java.tokenize(option, captions)
    texts = _tokenize_references(option, tuple(map(tuple, references)))
    if params.meteor:
        statistics = meteor.meteor_statistics(tokens, texts)
        metrics["meteor"] = float(meteor.meteor_scores(statistics.sum(0)))
        samples["meteor"] = meteor.meteor_scores(statistics).tolist()
        samples["meteor_statistics"] = statistics.tolist()
    if params.spice is not None:
        found = spice.spice_scores(tokens, texts, params.spice)
        metrics["spice"] = float(found.mean())
        samples["spice"] = found.tolist()
    return metrics, samples


@lru_cache(maxsize=4)
def _tokenize_references(
    option: str, references: tuple[tuple[str, ...], ...]
) -> list[tuple[str, ...]]:
    """Tokenize the references once for all trials of a process."""
    flat = iter(java.tokenize(option, [text for texts in references for text in texts]))
    return [tuple(next(flat) for _ in texts) for texts in references]
