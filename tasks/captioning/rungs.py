"""Decode the next images of trials that have the same images and the same prompt.

The steps of a trial are rungs: each captions about twice as many images as the one before.

N images of a rung, T tokens
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tasks.captioning import stages
from tasks.captioning.beams import BeamConfig
from tasks.captioning.decoding import LAB_BATCH, DecodingConfig
from tasks.captioning.images import (
    BLIP_ROWS,
    BlipImages,
    CaptionedImages,
    GeneratedImages,
    stack,
)
from tasks.captioning.models import load_model
from tasks.captioning.params import FILTER_NAMES, Params
from tasks.contract import Inputs, Member, Trial, TrialError
from tasks.datasets.registry import load_split
from tasks.models.captioner import Captioner
from tasks.models.image_text import ImageTextCaptioner
from tasks.progress import progress_part

Array = np.ndarray[Any, Any]
Config = DecodingConfig | BeamConfig


def rungs(number: int) -> list[int]:
    """Return growing numbers of images; all but the last are multiples of the lab's batch size."""
    parts = (number // 16, number // 8, number // 4, number // 2)
    whole = (max(LAB_BATCH, part // LAB_BATCH * LAB_BATCH) for part in parts)
    return sorted({*(n for n in whole if n < number), number})


def decode_rung(members: Sequence[Member], inputs: Inputs, device: str) -> list[Any]:
    """Return the tokens of the next rung's images for each member, or an exception.

    They are a list with an array [N, T] for each sample of an image.
    """
    trial = members[0].trial
    captioner = load_model(trial.model, device, trial.params.precision)
    found: dict[Config, Any] = {}
    for member in members:
        found |= _too_short(captioner, member.trial)
    first = members[0].state.values["images"]
    last = next(n for n in rungs(stages.num_images(trial)) if n > first)
    wanted = dict.fromkeys(c for member in members for c in decoding_configs(member.trial))
    configs = [c for c in wanted if isinstance(c, DecodingConfig) and c not in found]
    beams = [c for c in wanted if isinstance(c, BeamConfig) and c not in found]
    parts: dict[Config, list[Array]] = {config: [] for config in wanted if config not in found}
    size = max(1, BLIP_ROWS // max(1, len(configs)) // LAB_BATCH) * LAB_BATCH
    image_ids = load_split(trial.data.name, trial.params.split).image_ids
    for begin in range(first, last, size):
        end = min(begin + size, last)
        images = _images(captioner, trial, inputs, begin, end)
        keys = [zlib.crc32(image_id.encode()) for image_id in image_ids[begin:end]]
        with (
            captioner.autocast(),
            progress_part(begin - first, last - first, end - begin, next_at=last),
        ):
            loops = bool(configs) + len(beams)
            if configs:
                with progress_part(0, loops):
                    decoded = images.decode(keys, configs)
                for config, ids in zip(configs, decoded, strict=True):
                    parts[config].append(ids)
            for number, beam in enumerate(beams, start=bool(configs)):
                with progress_part(number, loops):
                    parts[beam].append(images.search(beam))
    found |= {config: stack(ids, captioner.pad) for config, ids in parts.items()}
    results = [[found[c] for c in decoding_configs(member.trial)] for member in members]
    return [each[0] if isinstance(each[0], Exception) else each for each in results]


def decoding_configs(trial: Trial) -> list[Config]:
    """Return the config of each sample of an image."""
    return [decoding_config(trial, sample) for sample in range(trial.params.num_samples or 1)]


def decoding_config(trial: Trial, sample: int = 0) -> Config:
    """Return the config of a trial. Equal configs give equal tokens.

    Those of greedy trials do not depend on the seed.
    """
    params: Params = trial.params
    common: dict[str, Any] = {
        "min_length": params.min_length,
        "max_length": params.max_length,
        "repetition_penalty": params.repetition_penalty,
        "no_repeat_ngram_size": params.no_repeat_ngram_size,
    }
    if params.decoding == "beam":
        assert params.num_beams is not None
        return BeamConfig(
            num_beams=params.num_beams,
            length_penalty=params.length_penalty,
            early_stopping=bool(params.early_stopping),
            **common,
        )
    if params.decoding == "greedy":
        return DecodingConfig(**common)
    return DecodingConfig(
        temperature=params.temperature,
        top_k=params.top_k,
        top_p=params.top_p,
        seed=trial.seed,
        sample=sample,
        continue_after_eos=params.faithful,
        **{name: getattr(params, name) for name in FILTER_NAMES},
        **common,
    )


def _too_short(captioner: Any, trial: Trial) -> dict[Config, TrialError]:
    """Return an error for a config whose length limit leaves no room after BLIP's prompt."""
    params: Params = trial.params
    length = len(captioner.prompt_ids(params.prompt)) if isinstance(captioner, Captioner) else 0
    if params.max_length > length:
        return {}
    message = (
        "`max_length > tokens of start and prompt` must hold, but got "
        f"{params.max_length} <= {length}"
    )
    return dict.fromkeys(decoding_configs(trial), TrialError(message))


def _images(
    captioner: Captioner | ImageTextCaptioner, trial: Trial, inputs: Inputs, begin: int, end: int
) -> CaptionedImages:
    """Return the images ``begin`` to ``end`` (exclusive)."""
    prompt = trial.params.prompt
    if isinstance(captioner, Captioner):
        states = _states(trial, inputs, begin, end).to(captioner.device)
        return BlipImages(captioner, captioner.prompt_ids(prompt), states)
    if captioner.has_states:
        states = _states(trial, inputs, begin, end).to(captioner.device)
        return GeneratedImages(captioner, prompt, states)
    split = load_split(trial.data.name, trial.params.split)
    rgb = [split.load(i) for i in range(begin, end)]
    if not captioner.has_features:
        return GeneratedImages(captioner, prompt, rgb)
    features = [each.to(captioner.device) for each in _features(trial, inputs, begin, end)]
    return GeneratedImages(captioner, prompt, rgb, features)


def _features(trial: Trial, inputs: Inputs, begin: int, end: int) -> list[torch.Tensor]:
    """Return the features of the images ``begin`` to ``end`` (exclusive), one tensor per image."""
    found: list[torch.Tensor] = []
    for stage in stages.needed(trial):
        first, last = stage.args["first"], stage.args["last"]
        if first < end and begin < last:
            value = inputs[stage]
            tokens = torch.from_dlpack(value["states"])
            each = torch.split(tokens, value["counts"].tolist())
            found += each[max(begin - first, 0) : end - first]
    return found


def _states(trial: Trial, inputs: Inputs, begin: int, end: int) -> torch.Tensor:
    """Return the encoded images ``begin`` to ``end`` (exclusive) from the chunks of the stages."""
    rows = []
    for stage in stages.needed(trial):
        first, last = stage.args["first"], stage.args["last"]
        if first < end and begin < last:
            states = inputs[stage]["states"][max(begin - first, 0) : end - first]
            rows.append(torch.from_dlpack(states))
    return torch.cat(rows)
