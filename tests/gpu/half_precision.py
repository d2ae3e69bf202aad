"""Checks of models in float16 and bfloat16, on any device."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import tiny_models
from gpu.running import inputs_of
from gpu.subjects import SUBJECTS
from tiny_models import save_tiny

from tasks.captioning.task import TASK as CAPTIONING
from tasks.contract import Member

MIN_SIMILARITY = {"float16": 0.999, "bfloat16": 0.99}  # cosine to float32; 11 and 8 bits
MIN_SHARE = 0.7  # of captions that half precision leaves unchanged, by a trained model


def encoders_in_half_precision_are_close(device: str, folder: Path) -> str:
    """Image and text encoders in float16 and bfloat16 give about the features of float32."""
    from tasks.captioning.models import load_model
    from tasks.models.dual import load_dual_encoder

    images, captions = tiny_models.IMAGES, tiny_models.CAPTIONS
    clip = str(save_tiny("clip", folder / "half-clip"))
    blip = SUBJECTS["captioning_blip"](folder).trials[0].model
    figures = []
    for precision, least in MIN_SIMILARITY.items():
        found = []
        for kind in (precision, "float32"):
            dual = load_dual_encoder(clip, "x", device, kind)
            captioner = load_model(blip, device, kind)
            found.append(
                [
                    dual.image.encode(images),
                    dual.text.encode(captions),
                    captioner.encode(images),
                ]
            )
        lowest = min(_similarity(one, other) for one, other in zip(*found, strict=True))
        assert lowest >= least, (precision, lowest)
        figures.append(f"{precision} {lowest:.4f}")
    return ", ".join(figures)


def _similarity(one: Any, other: Any) -> float:
    """Return the lowest cosine of two lists of vectors."""
    one, other = (each.reshape(-1, each.shape[-1]) for each in (one, other))
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(1) / norms).min())


def captions_in_half_precision_are_close(device: str, folder: Path) -> str:
    """Greedy captions of the shipped BLIP in float16 and bfloat16 are mostly those of float32."""
    from tasks.captioning.models import load_model
    from tasks.captioning.rungs import decode_rung

    (trial, *_) = SUBJECTS["captioning_blip"](folder).trials
    pad = load_model(trial.model, device, "float32").pad
    found = {}
    for precision in ("float32", *MIN_SIMILARITY):
        # Trials take float32 and bfloat16; the model itself also computes in float16.
        params = _with(trial.params, precision=precision)
        changed = dataclasses.replace(trial, params=params)
        inputs = inputs_of(CAPTIONING, [changed], device)
        member = Member(trial=changed, state=CAPTIONING.start(changed, inputs, device))
        ((ids,),) = decode_rung([member], inputs, device)
        found[precision] = [[token for token in row if token != pad] for row in ids.tolist()]
    figures = []
    for precision in MIN_SIMILARITY:
        pairs = list(zip(found[precision], found["float32"], strict=True))
        share = sum(one == other for one, other in pairs) / len(pairs)
        assert share >= MIN_SHARE, (precision, share)
        figures.append(f"{precision} {100 * share:.0f} % equal")
    return ", ".join(figures)


def _with(params: Any, **values: Any) -> Any:
    """Return a copy of parameters with values that their checks would refuse."""
    copied = dataclasses.replace(params)
    for name, value in values.items():
        object.__setattr__(copied, name, value)
    return copied
