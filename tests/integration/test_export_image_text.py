"""Exported captioners of other families than BLIP write the captions of the sweep."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from tiny_captioners import BUILDERS, save_captioner

from tasks.captioning import captioning
from tasks.captioning.export import export
from tasks.captioning.generating import ImageInputs, beam_search, decode_rows
from tasks.captioning.params import Params
from tasks.captioning.rungs import decoding_config
from tasks.captioning.task import TASK
from tasks.contract import Source, Trial
from tasks.models.image_text import ImageTextCaptioner
from tasks.models.image_text_loading import load_image_text

#: transformers' processor of PaliGemma calls numpy in a way that numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
NEEDS_TORCHVISION = ("smolvlm", "qwen2_5_vl", "qwen3_vl")  # for ``AutoProcessor``
FAMILIES = [family for family in BUILDERS if family not in NEEDS_TORCHVISION]


def make_trial(folder: Path, **params: Any) -> Trial:
    chosen: dict[str, Any] = {"min_length": 2, "max_length": 8, "num_images": 2, **params}
    return TASK.normalize(
        Trial(
            task="captioning",
            version=TASK.version,
            params=Params(**chosen),
            seed=0,
            model=Source(name=str(folder), fingerprint="x"),
            data=Source(name="scenes", fingerprint="x"),
        )
    )


def captions_of(captioner: ImageTextCaptioner, trial: Trial, images: Sequence[Any]) -> list[str]:
    config: Any = decoding_config(trial)
    given = ImageInputs(captioner, trial.params.prompt, images=images)
    if trial.params.decoding == "beam":
        ids = beam_search(captioner, given, config)
    else:
        (ids,) = decode_rows(captioner, given, range(len(images)), [config])
    return captioning.to_text(ids, trial.params, captioner)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "params",
    [
        {"decoding": "greedy", "no_repeat_ngram_size": 2},
        {"decoding": "beam", "num_beams": 3, "length_penalty": 0.5, "prompt": "a red circle"},
    ],
    ids=["greedy", "beam"],
)
def test_exported_captioner_gives_the_same_captions(
    family: str, params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, target = save_captioner(family, tmp_path / "model"), tmp_path / "export"
    target.mkdir()
    trial = make_trial(folder, **params)
    usage = export(trial, target).usage
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(target / "photo.jpg")
    image = Image.open(target / "photo.jpg").convert("RGB")
    captioner = load_image_text(str(folder), "x", "cpu", "float32")
    monkeypatch.chdir(target)
    found: dict[str, Any] = {}
    exec(usage, found)  # the program that the model card shows
    assert [caption.strip() for caption in found["captions"]] == captions_of(
        captioner, trial, [image]
    )


def test_exported_generation_config_has_the_decoding_of_the_trial(tmp_path: Path) -> None:
    folder, target = save_captioner("git", tmp_path / "model"), tmp_path / "export"
    target.mkdir()
    export(make_trial(folder, temperature=0.6, top_k=None, min_p=0.1, typical_p=0.9), target)
    config = json.loads((target / "generation_config.json").read_text())
    expected = {
        **{"do_sample": True, "temperature": 0.6, "top_k": 0, "min_p": 0.1, "typical_p": 0.9},
        **{"min_new_tokens": 2, "max_new_tokens": 8, "eos_token_id": [3, 5]},
    }
    assert {name: config[name] for name in expected} == expected


@pytest.mark.parametrize("family", NEEDS_TORCHVISION)
def test_note_says_what_a_processor_needs(family: str, tmp_path: Path) -> None:
    if family == "smolvlm":
        pytest.importorskip("num2words")
    folder, target = save_captioner(family, tmp_path / "model"), tmp_path / "export"
    target.mkdir()
    made = export(make_trial(folder, decoding="greedy"), target)
    assert any("torchvision" in note for note in made.notes)
    compile(made.usage, "usage", "exec")


def test_exported_weights_are_float32(tmp_path: Path) -> None:
    folder, target = save_captioner("git", tmp_path / "model"), tmp_path / "export"
    target.mkdir()
    kind = transformers.AutoModelForImageTextToText
    kind.from_pretrained(folder).to(torch.bfloat16).save_pretrained(folder)
    export(make_trial(folder, decoding="greedy"), target)
    assert json.loads((target / "config.json").read_text())["dtype"] == "float32"
    assert kind.from_pretrained(target).dtype == torch.float32
