"""Models as they are loaded from their folders."""

from __future__ import annotations

from collections.abc import Callable

import torch
import transformers

from tasks.models.loading import load_checked


def test_weights_are_float32_whatever_the_checkpoint_has(tiny: Callable[[str], str]) -> None:
    folder, kind = tiny("clip"), transformers.CLIPModel
    kind.from_pretrained(folder).to(torch.bfloat16).save_pretrained(folder)
    model = load_checked(folder, kind, lambda key: True)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
