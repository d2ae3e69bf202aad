"""One step of a pack of captioning trials: decode more images, and score all images so far.

N images of a rung, U images so far, T tokens
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tasks.captioning import scores, stages
from tasks.captioning.clip_score import score_captions
from tasks.captioning.images import stack
from tasks.captioning.java_scores import score_with_java
from tasks.captioning.models import load_model
from tasks.captioning.params import Params
from tasks.captioning.rungs import decode_rung
from tasks.contract import Advanced, Inputs, Member, Source, State, Step, Trial, TrialError
from tasks.datasets.registry import load_split
from tasks.models.captioner import Captioner
from tasks.models.image_text import ImageTextCaptioner
from tasks.progress import progress_part

Array = np.ndarray[Any, Any]
DECODING_COST = 2  # the cost of decoding, relative to scoring, in progress reports


def start() -> State:
    """Return the state before the first image."""
    arrays = {"ids": np.zeros((0, 0), np.int32), "bleu": np.zeros((0, 10), np.int64)}
    return State(arrays=arrays, values={"images": 0})


def advance(pack: Sequence[Member], inputs: Inputs, device: str) -> Sequence[Advanced | Exception]:
    """Run the next rung of every member.

    Members with the same prompt at the same rung are decoded together.
    """
    results: list[Advanced | Exception | None] = [None] * len(pack)
    together: dict[Any, list[int]] = {}
    for index, member in enumerate(pack):
        params: Params = member.trial.params
        key = (params.prompt, params.split, params.num_images, member.state.values["images"])
        together.setdefault(key, []).append(index)
    done, total = 0, (DECODING_COST + 1) * len(pack)
    for indices in together.values():
        decoding = DECODING_COST * len(indices)
        try:
            with progress_part(done, total, decoding):
                decoded = decode_rung([pack[index] for index in indices], inputs, device)
        except TrialError as error:  # it concerns all of these members
            decoded = [error] * len(indices)
        done += decoding
        for index, ids in zip(indices, decoded, strict=True):
            try:
                with progress_part(done, total):
                    results[index] = _step(pack[index], ids, inputs, device)
            except Exception as error:  # the other members continue
                results[index] = error
            done += 1
    return [result for result in results if result is not None]


def _step(member: Member, new_ids: Any, inputs: Inputs, device: str) -> Advanced:
    if isinstance(new_ids, Exception):
        raise new_ids
    trial, state = member.trial, member.state
    captioner = load_model(trial.model, device, trial.params.precision)
    first = state.values["images"]
    arrays = {f"ids{sample or ''}": ids for sample, ids in enumerate(new_ids)}
    if first:
        arrays = {k: stack([state.arrays[k], ids], captioner.pad) for k, ids in arrays.items()}
    ids = arrays["ids"]
    source = (trial.data, trial.params.split, trial.params.num_references)
    new_statistics = _bleu(*source)(to_text(new_ids[0], trial.params, captioner), first)
    statistics = np.concatenate([state.arrays["bleu"], new_statistics])
    metrics, samples, done = {"bleu4": scores.bleu(statistics)}, None, False
    if len(ids) >= stages.num_images(trial):
        captions = to_text(ids, trial.params, captioner)
        more, samples = score(captions, statistics, trial)
        by_clip = score_captions(captions, trial, inputs, device)
        samples = {**samples, **{name: each.tolist() for name, each in by_clip.items()}}
        more |= {name: float(each.mean()) for name, each in by_clip.items()}
        if len(arrays) > 1:
            others = [each for name, each in arrays.items() if name != "ids"]
            texts = [to_text(each, trial.params, captioner) for each in others]
            more["self_bleu4"] = scores.self_bleu([captions, *texts])
        metrics, done = metrics | more, True
    after = State(arrays={**arrays, "bleu": statistics}, values={"images": len(ids)})
    return after, Step(at=len(ids), metrics=metrics, samples=samples, done=done)


def to_text(ids: Array, params: Params, captioner: Captioner | ImageTextCaptioner) -> list[str]:
    """Return the captions without their prompt.

    With ``faithful``, the prompt is cut off by its number of characters, as in the lab.
    """
    if not params.faithful or not isinstance(captioner, Captioner):
        return [caption.strip() for caption in captioner.decode(ids)]
    prompt = np.tile(captioner.prompt_ids(params.prompt), (len(ids), 1))
    sentences = captioner.decode(np.concatenate([prompt, ids], axis=1))
    return [sentence[len(params.prompt) :] for sentence in sentences]


@functools.lru_cache(maxsize=4)
def _references(data: Source, split: str, number: int | None) -> list[tuple[str, ...]]:
    return [captions[:number] for captions in load_split(data.name, split).captions]


@functools.lru_cache(maxsize=4)
def _bleu(data: Source, split: str, number: int | None) -> scores.BleuStatistics:
    return scores.BleuStatistics(_references(data, split, number))


@functools.lru_cache(maxsize=4)
def _cider(data: Source, split: str, number: int | None, images: int) -> scores.CiderD:
    return scores.CiderD(_references(data, split, number)[:images])


@functools.lru_cache(maxsize=2)
def _training_captions(data: Source) -> frozenset[str] | None:
    try:
        captions = load_split(data.name, "train").captions
    except Exception:  # without a train split, novelty is undefined
        return None
    return frozenset(" ".join(scores.words_of(text)) for texts in captions for text in texts)


def score(
    captions: Sequence[str], statistics: Array, trial: Trial
) -> tuple[dict[str, float], Mapping[str, Sequence[Any]]]:
    """Return all scores of a trial's captions, and its samples."""
    params: Params = trial.params
    source = (trial.data, params.split, params.num_references)
    references = _references(*source)[: len(captions)]
    metrics = {f"bleu{order}": scores.bleu(statistics, order) for order in (1, 2, 3)}
    metrics["bleu4_13a"] = scores.sacrebleu_13a(captions, references)
    rouge = scores.rouge_l(captions, references)
    cider = _cider(*source, len(captions))(captions)
    metrics |= {"rouge_l": float(rouge.mean()), "cider_d": float(cider.mean())}
    metrics |= scores.diversity(captions, _training_captions(trial.data))
    by_java, java_samples = score_with_java(captions, references, params)
    ids = load_split(trial.data.name, params.split).image_ids
    return metrics | by_java, {
        "image": list(range(len(captions))),
        "image_id": list(ids[: len(captions)]),
        "caption": list(captions),
        "references": [list(texts) for texts in references],
        "rouge_l": rouge.tolist(),
        "cider_d": cider.tolist(),
        "bleu_statistics": statistics.tolist(),
        **java_samples,
    }
