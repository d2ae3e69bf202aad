"""Captioners of other families than BLIP, as they are loaded from their folders."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers
from tiny_captioners import BUILDERS, build_tokenizer, save_captioner

from tasks.models.image_text_loading import load_image_text, plain_generation


@pytest.mark.parametrize("family", ["git", "blip-2", "qwen2_5_vl"])
def test_weights_are_float32_whatever_the_checkpoint_has(family: str, tmp_path: Path) -> None:
    folder = save_captioner(family, tmp_path)
    kind = transformers.AutoModelForImageTextToText
    kind.from_pretrained(folder).to(torch.bfloat16).save_pretrained(folder)
    assert kind.from_pretrained(folder).dtype == torch.bfloat16  # what transformers does by default
    model = load_image_text(str(folder), "x", "cpu", "float32").model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_precisions_share_one_model(tmp_path: Path) -> None:
    folder = save_captioner("git", tmp_path)
    first = load_image_text(str(folder), "x", "cpu", "float32")
    second = load_image_text(str(folder), "x", "cpu", "bfloat16")
    assert second.model is first.model
    assert (first.precision, second.precision) == ("float32", "bfloat16")


def test_the_start_token_can_have_the_id_0() -> None:
    model, _ = BUILDERS["vision-encoder-decoder"](build_tokenizer())
    model.generation_config.decoder_start_token_id = None
    model.config.decoder_start_token_id, model.config.decoder.decoder_start_token_id = 0, 7
    assert plain_generation(model, pad=1).decoder_start_token_id == 0
    model.config.decoder_start_token_id = None
    assert plain_generation(model, pad=1).decoder_start_token_id == 7
