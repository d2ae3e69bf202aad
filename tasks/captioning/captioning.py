"""One rung of a pack of captioning trials: decode more images, score all so far.

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
from tasks.captioning.decoding import LAB_BATCH, Setting, Vocabulary, decode
from tasks.captioning.params import Params
from tasks.contract import Advanced, Inputs, Member, State, Step, Trial, TrialError
from tasks.datasets.registry import load_split
from tasks.interrupt import check_interrupt
from tasks.models.captioner import Captioner, load_captioner
from tasks.progress import progress_part, report_progress

Array = np.ndarray[Any, Any]
DECODING_COST = 2  # what decoding a rung counts beside its scores in progress reports
ROWS = 768  # sentences decoded side by side, at most


def rungs(number: int) -> list[int]:
    """Growing numbers of images, each a whole number of the lab's batches but the last."""
    parts = (number // 16, number // 8, number // 4, number // 2)
    whole = (max(LAB_BATCH, part // LAB_BATCH * LAB_BATCH) for part in parts)
    return sorted({*(n for n in whole if n < number), number})


def start() -> State:
    """No captions yet."""
    arrays = {"ids": np.zeros((0, 0), np.int32), "bleu": np.zeros((0, 10), np.int64)}
    return State(arrays=arrays, values={"images": 0})


def advance(pack: Sequence[Member], inputs: Inputs, device: str) -> Sequence[Advanced | Exception]:
    """The next rung of every member; those at one rung with one prompt are decoded together."""
    results: list[Advanced | Exception | None] = [None] * len(pack)
    together: dict[Any, list[int]] = {}
    for place, member in enumerate(pack):
        params: Params = member.trial.params
        key = (params.prompt, params.split, params.num_images, member.state.values["images"])
        together.setdefault(key, []).append(place)
    done, total = 0, (DECODING_COST + 1) * len(pack)
    for places in together.values():
        decoding = DECODING_COST * len(places)
        try:
            with progress_part(done, total, decoding):
                told = _decode([pack[place] for place in places], inputs, device)
        except TrialError as error:  # the prompt does not fit: true of each of them
            told = [error] * len(places)
        done += decoding
        for place, ids in zip(places, told, strict=True):
            try:
                with progress_part(done, total):
                    results[place] = _step(pack[place], ids, device)
            except Exception as error:  # one member's failure is a row, not the pack's end
                results[place] = error
            done += 1
    return [result for result in results if result is not None]


# --- decoding -------------------------------------------------------------------------------------


def _load(trial: Trial, device: str) -> Captioner:
    model = trial.model
    return load_captioner(model.name, model.fingerprint, device, trial.params.precision)


def _decode(members: Sequence[Member], inputs: Inputs, device: str) -> list[Any]:
    """The tokens of the next rung's images [N, T], or the exception, for each member."""
    trial = members[0].trial
    captioner = _load(trial, device)
    prompt = captioner.prompt_ids(trial.params.prompt)
    found: dict[Any, Any] = {}
    for member in members:
        if member.trial.params.max_length <= len(prompt):
            found[_setting(member.trial)] = TrialError(
                f"`max_length > tokens of start and prompt` must hold, but got "
                f"{member.trial.params.max_length} <= {len(prompt)}"
            )
    first = members[0].state.values["images"]
    last = next(n for n in rungs(stages.number_of_images(trial)) if n > first)
    wanted = list(dict.fromkeys(_setting(member.trial) for member in members))
    drawn = [s for s in wanted if isinstance(s, Setting) and s not in found]
    beams = [s for s in wanted if not isinstance(s, Setting) and s not in found]
    parts: dict[Any, list[Array]] = {setting: [] for setting in (*drawn, *beams)}
    size = max(1, ROWS // max(1, len(drawn)) // LAB_BATCH) * LAB_BATCH
    image_ids = load_split(trial.data.name, trial.params.split).image_ids
    vocabulary = Vocabulary(end=captioner.end, pad=captioner.pad)
    decoder = captioner.model.text_decoder
    for begin in range(first, last, size):
        end = min(begin + size, last)
        states = _states(trial, inputs, begin, end).to(device)
        keys = [zlib.crc32(image_id.encode()) for image_id in image_ids[begin:end]]
        with (
            captioner.autocast(),
            progress_part(begin - first, last - first, end - begin, next_at=last),
        ):
            loops = bool(drawn) + len(beams)
            if drawn:
                with progress_part(0, loops):
                    told = decode(decoder, states, prompt, keys, drawn, vocabulary)
                for setting, ids in zip(drawn, told, strict=True):
                    parts[setting].append(ids)
            for number, beam in enumerate(beams, start=bool(drawn)):
                with progress_part(number, loops):
                    parts[beam].append(_beam_search(captioner, states, prompt, beam))
    found |= {setting: _stack(ids, captioner.pad) for setting, ids in parts.items()}
    return [found[_setting(member.trial)] for member in members]


def _setting(trial: Trial) -> Setting | tuple[Any, ...]:
    """What decides the tokens; equal for greedy trials of several seeds."""
    params: Params = trial.params
    if params.decoding == "beam":
        penalty = params.repetition_penalty
        return (params.num_beams, params.min_length, params.max_length, penalty)
    draws = params.decoding == "sample"
    return Setting(
        temperature=params.temperature if draws else None,
        top_k=params.top_k if draws else None,
        top_p=params.top_p if draws else None,
        min_length=params.min_length,
        max_length=params.max_length,
        repetition_penalty=params.repetition_penalty,
        seed=trial.seed if draws else 0,
        runs_on=params.faithful and draws,
    )


@torch.inference_mode()
def _beam_search(
    captioner: Captioner, states: torch.Tensor, prompt: Sequence[int], setting: tuple[Any, ...]
) -> Array:
    """The library's own beam search over encoded images: the tokens after the prompt."""
    num_beams, min_length, max_length, penalty = setting
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
        rows.append(_cut(ids[:, len(prompt) :].cpu().numpy(), captioner))
    return _stack(rows, captioner.pad)


def _cut(ids: Array, captioner: Captioner) -> Array:
    """Padding after the first end token, whatever stood there."""
    over = np.cumsum(ids == captioner.end, axis=1) - (ids == captioner.end) > 0
    return np.where(over, captioner.pad, ids)


def _stack(parts: Sequence[Array], pad: int) -> Array:
    """Rows of different lengths below each other, padded."""
    width = max((part.shape[1] for part in parts), default=0)
    padded = [
        np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=pad) for part in parts
    ]
    return np.concatenate(padded).astype(np.int32)


def _states(trial: Trial, inputs: Inputs, begin: int, end: int) -> torch.Tensor:
    """The encoded images from ``begin`` to before ``end``, out of the chunks they lie in."""
    rows = []
    for stage in stages.needed(trial):
        first, last = stage.args["first"], stage.args["last"]
        if first < end and begin < last:
            states = inputs[stage]["states"][max(begin - first, 0) : end - first]
            rows.append(torch.from_dlpack(states))
    return torch.cat(rows)


# --- scoring --------------------------------------------------------------------------------------


def _step(member: Member, told: Any, device: str) -> Advanced:
    if isinstance(told, Exception):
        raise told
    trial, state = member.trial, member.state
    captioner = _load(trial, device)
    first = state.values["images"]
    ids = _stack([state.arrays["ids"], told], captioner.pad) if first else told
    source = (trial.data.name, trial.params.split, trial.params.num_references)
    new = _bleu(*source)(to_text(told, trial.params, captioner), first)
    statistics = np.concatenate([state.arrays["bleu"], new])
    metrics, samples, done = {"bleu4": scores.bleu(statistics)}, None, False
    if len(ids) >= stages.number_of_images(trial):
        captions = to_text(ids, trial.params, captioner)
        more, samples = score(captions, statistics, trial)
        metrics, done = metrics | more, True
    after = State(arrays={"ids": ids, "bleu": statistics}, values={"images": len(ids)})
    return after, Step(at=len(ids), metrics=metrics, samples=samples, done=done)


def to_text(ids: Array, params: Params, captioner: Captioner) -> list[str]:
    """The captions without their prompt; with ``faithful`` the prompt is cut off as the lab did."""
    if not params.faithful:
        return [caption.strip() for caption in captioner.decode(ids)]
    prompt = np.tile(captioner.prompt_ids(params.prompt), (len(ids), 1))
    whole = captioner.decode(np.concatenate([prompt, ids], axis=1))
    return [sentence[len(params.prompt) :] for sentence in whole]


@functools.lru_cache(maxsize=4)
def _references(data: str, split: str, number: int | None) -> list[tuple[str, ...]]:
    return [told[:number] for told in load_split(data, split).captions]


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
    except Exception:  # a data set without a train split has nothing to be novel against
        return None
    return frozenset(" ".join(scores.words_of(each)) for told in captions for each in told)


def score(
    captions: Sequence[str], statistics: Array, trial: Trial
) -> tuple[dict[str, float], Mapping[str, Sequence[Any]]]:
    """All scores of a trial's captions, and its samples."""
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
        "references": [list(told) for told in references],
        "rouge_l": rouge.tolist(),
        "cider_d": cider.tolist(),
        "bleu_statistics": statistics.tolist(),
    }
