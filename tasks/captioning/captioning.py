"""One step of a pack of captioning trials: decode more images, and score all images so far.

The steps are rungs: each captions about twice as many images as the one before.

N images of a rung, U images so far, T tokens
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from tasks.captioning import scores, stages
from tasks.captioning.decoding import LAB_BATCH, DecodingConfig, Vocabulary, decode
from tasks.captioning.params import Params
from tasks.contract import Advanced, Inputs, Member, State, Step, Trial, TrialError
from tasks.datasets.registry import load_split
from tasks.interrupt import check_interrupt
from tasks.models.captioner import Captioner, load_captioner
from tasks.progress import progress_part, report_progress

Array = np.ndarray[Any, Any]
DECODING_COST = 2  # the cost of decoding, relative to scoring, in progress reports
MAX_ROWS = 768  # sentences that are decoded together


def rungs(number: int) -> list[int]:
    """Return growing numbers of images; all but the last are multiples of the lab's batch size."""
    parts = (number // 16, number // 8, number // 4, number // 2)
    whole = (max(LAB_BATCH, part // LAB_BATCH * LAB_BATCH) for part in parts)
    return sorted({*(n for n in whole if n < number), number})


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
                decoded = _decode([pack[index] for index in indices], inputs, device)
        except TrialError as error:  # it concerns all of these members
            decoded = [error] * len(indices)
        done += decoding
        for index, ids in zip(indices, decoded, strict=True):
            try:
                with progress_part(done, total):
                    results[index] = _step(pack[index], ids, device)
            except Exception as error:  # the other members continue
                results[index] = error
            done += 1
    return [result for result in results if result is not None]


# --- decoding -------------------------------------------------------------------------------------


def _load(trial: Trial, device: str) -> Captioner:
    model = trial.model
    return load_captioner(model.name, model.fingerprint, device, trial.params.precision)


def _decode(members: Sequence[Member], inputs: Inputs, device: str) -> list[Any]:
    """Return the tokens of the next rung's images [N, T], or an exception, for each member."""
    trial = members[0].trial
    captioner = _load(trial, device)
    prompt = captioner.prompt_ids(trial.params.prompt)
    found: dict[Any, Any] = {}
    for member in members:
        if member.trial.params.max_length <= len(prompt):
            found[_decoding_config(member.trial)] = TrialError(
                "`max_length > tokens of start and prompt` must hold, but got "
                f"{member.trial.params.max_length} <= {len(prompt)}"
            )
    first = members[0].state.values["images"]
    last = next(n for n in rungs(stages.num_images(trial)) if n > first)
    wanted = list(dict.fromkeys(_decoding_config(member.trial) for member in members))
    configs = [c for c in wanted if isinstance(c, DecodingConfig) and c not in found]
    beams = [c for c in wanted if not isinstance(c, DecodingConfig) and c not in found]
    parts: dict[Any, list[Array]] = {config: [] for config in (*configs, *beams)}
    size = max(1, MAX_ROWS // max(1, len(configs)) // LAB_BATCH) * LAB_BATCH
    image_ids = load_split(trial.data.name, trial.params.split).image_ids
    vocabulary = Vocabulary(ends=(captioner.end,), pad=captioner.pad)
    decoder = captioner.model.text_decoder
    for begin in range(first, last, size):
        end = min(begin + size, last)
        states = _states(trial, inputs, begin, end).to(device)
        keys = [zlib.crc32(image_id.encode()) for image_id in image_ids[begin:end]]
        with (
            captioner.autocast(),
            progress_part(begin - first, last - first, end - begin, next_at=last),
        ):
            loops = bool(configs) + len(beams)
            if configs:
                with progress_part(0, loops):
                    decoded = decode(decoder, states, prompt, keys, configs, vocabulary)
                for config, ids in zip(configs, decoded, strict=True):
                    parts[config].append(ids)
            for number, beam in enumerate(beams, start=bool(configs)):
                with progress_part(number, loops):
                    parts[beam].append(_beam_search(captioner, states, prompt, beam))
    found |= {config: _stack(ids, captioner.pad) for config, ids in parts.items()}
    return [found[_decoding_config(member.trial)] for member in members]


def _decoding_config(trial: Trial) -> DecodingConfig | tuple[Any, ...]:
    """Return the config of a trial, or a tuple for beam search.

    Equal configs give equal tokens: those of greedy trials do not depend on the seed.
    """
    params: Params = trial.params
    if params.decoding == "beam":
        penalty = params.repetition_penalty
        return (params.num_beams, params.min_length, params.max_length, penalty)
    samples = params.decoding == "sample"
    return DecodingConfig(
        temperature=params.temperature if samples else None,
        top_k=params.top_k if samples else None,
        top_p=params.top_p if samples else None,
        min_length=params.min_length,
        max_length=params.max_length,
        repetition_penalty=params.repetition_penalty,
        seed=trial.seed if samples else 0,
        continue_after_eos=params.faithful and samples,
    )


@torch.inference_mode()
def _beam_search(
    captioner: Captioner, states: torch.Tensor, prompt: Sequence[int], config: tuple[Any, ...]
) -> Array:
    """Run the beam search of transformers and return the tokens after the prompt."""
    num_beams, min_length, max_length, penalty = config
    rows = []
    for begin in range(0, len(states), LAB_BATCH):
        check_interrupt()
        report_progress(begin, len(states))
        batch = states[begin : begin + LAB_BATCH]
        ids = captioner.model.text_decoder.generate(
            input_ids=torch.tensor(prompt, device=states.device).expand(len(batch), -1),
            encoder_hidden_states=batch,
            encoder_attention_mask=torch.ones(batch.shape[:2], dtype=torch.long).to(batch.device),
            eos_token_id=captioner.end,
            pad_token_id=captioner.pad,
            num_beams=num_beams,
            do_sample=False,
            min_length=min_length,
            max_length=max_length,
            repetition_penalty=penalty,
        )
        rows.append(_pad_after_end(ids[:, len(prompt) :].cpu().numpy(), captioner))
    return _stack(rows, captioner.pad)


def _pad_after_end(ids: Array, captioner: Captioner) -> Array:
    """Replace all tokens after the first end token by padding."""
    is_after = np.cumsum(ids == captioner.end, axis=1) - (ids == captioner.end) > 0
    return np.where(is_after, captioner.pad, ids)


def _stack(parts: Sequence[Array], pad: int) -> Array:
    """Concatenate rows of different lengths, with padding."""
    width = max((part.shape[1] for part in parts), default=0)
    padded = [
        np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=pad) for part in parts
    ]
    return np.concatenate(padded).astype(np.int32)


def _states(trial: Trial, inputs: Inputs, begin: int, end: int) -> torch.Tensor:
    """Return the encoded images ``begin`` to ``end`` (exclusive) from the chunks of the stages."""
    rows = []
    for stage in stages.needed(trial):
        first, last = stage.args["first"], stage.args["last"]
        if first < end and begin < last:
            states = inputs[stage]["states"][max(begin - first, 0) : end - first]
            rows.append(torch.from_dlpack(states))
    return torch.cat(rows)


# --- scoring --------------------------------------------------------------------------------------


def _step(member: Member, new_ids: Any, device: str) -> Advanced:
    if isinstance(new_ids, Exception):
        raise new_ids
    trial, state = member.trial, member.state
    captioner = _load(trial, device)
    first = state.values["images"]
    ids = _stack([state.arrays["ids"], new_ids], captioner.pad) if first else new_ids
    source = (trial.data.name, trial.params.split, trial.params.num_references)
    new_statistics = _bleu(*source)(to_text(new_ids, trial.params, captioner), first)
    statistics = np.concatenate([state.arrays["bleu"], new_statistics])
    metrics, samples, done = {"bleu4": scores.bleu(statistics)}, None, False
    if len(ids) >= stages.num_images(trial):
        captions = to_text(ids, trial.params, captioner)
        more, samples = score(captions, statistics, trial)
        metrics, done = metrics | more, True
    after = State(arrays={"ids": ids, "bleu": statistics}, values={"images": len(ids)})
    return after, Step(at=len(ids), metrics=metrics, samples=samples, done=done)


def to_text(ids: Array, params: Params, captioner: Captioner) -> list[str]:
    """Return the captions without their prompt.

    With ``faithful``, the prompt is cut off by its number of characters, as in the lab.
    """
    if not params.faithful:
        return [caption.strip() for caption in captioner.decode(ids)]
    prompt = np.tile(captioner.prompt_ids(params.prompt), (len(ids), 1))
    sentences = captioner.decode(np.concatenate([prompt, ids], axis=1))
    return [sentence[len(params.prompt) :] for sentence in sentences]


@functools.lru_cache(maxsize=4)
def _references(data: str, split: str, number: int | None) -> list[tuple[str, ...]]:
    return [captions[:number] for captions in load_split(data, split).captions]


@functools.lru_cache(maxsize=4)
def _bleu(data: str, split: str, number: int | None) -> scores.BleuStatistics:
    return scores.BleuStatistics(_references(data, split, number))


@functools.lru_cache(maxsize=4)
def _cider(data: str, split: str, number: int | None, images: int) -> scores.CiderD:
    return scores.CiderD(_references(data, split, number)[:images])


@functools.lru_cache(maxsize=2)
def _training_captions(data: str) -> frozenset[str] | None:
    try:
        captions = load_split(data, "train").captions
    except Exception:  # without a train split, novelty is undefined
        return None
    return frozenset(" ".join(scores.words_of(text)) for texts in captions for text in texts)


def score(
    captions: Sequence[str], statistics: Array, trial: Trial
) -> tuple[dict[str, float], Mapping[str, Sequence[Any]]]:
    """Return all scores of a trial's captions, and its samples."""
    params: Params = trial.params
    source = (trial.data.name, params.split, params.num_references)
    references = _references(*source)[: len(captions)]
    metrics = {f"bleu{order}": scores.bleu(statistics, order) for order in (1, 2, 3)}
    metrics["bleu4_13a"] = scores.sacrebleu_13a(captions, references)
    rouge = scores.rouge_l(captions, references)
    cider = _cider(*source, len(captions))(captions)
    metrics |= {"rouge_l": float(rouge.mean()), "cider_d": float(cider.mean())}
    metrics |= scores.diversity(captions, _training_captions(trial.data.name))
    ids = load_split(trial.data.name, params.split).image_ids
    return metrics, {
        "image": list(range(len(captions))),
        "image_id": list(ids[: len(captions)]),
        "caption": list(captions),
        "references": [list(texts) for texts in references],
        "rouge_l": rouge.tolist(),
        "cider_d": cider.tolist(),
        "bleu_statistics": statistics.tolist(),
    }
