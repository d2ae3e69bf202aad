"""Programs of model cards."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.models.families import FAMILIES
from tasks.models.texts import TextPreparation
from tasks.retrieval.params import Params
from tasks.retrieval.usage import family_usage


def program(kind: str, texts: dict[str, Any] | None = None, **params: Any) -> str:
    padded = FAMILIES[kind].pads_to_max_length
    prepare = TextPreparation(
        tokenizer=None, max_length=64, pads_to_max_length=padded, **(texts or {})
    )
    return family_usage(FAMILIES[kind], prepare, Params(**params))


@pytest.mark.parametrize("kind", ["siglip", "siglip2"])
def test_siglip_prints_the_probabilities_of_its_loss(kind: str) -> None:
    assert "print(scores.sigmoid())" in program(kind, loss="sigmoid")
    assert "print(scores.sigmoid())" in program(kind, epochs=0)  # as it was pretrained
    assert "print(scores.softmax(-1))" in program(kind)
    assert "sigmoid" not in program(kind)


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("texts", [{}, {"max_tokens": 9}, {"max_tokens": 64, "lower_case": True}])
def test_captions_become_tokens_as_in_the_trial(kind: str, texts: dict[str, Any]) -> None:
    text = program(kind, texts)
    compile(text, "README.md", "exec")
    length = texts.get("max_tokens", 64)
    assert f"truncation=True, max_length={length}" in text
    pads_separately = FAMILIES[kind].pads_to_max_length and length < 64
    assert ("tokenizer.pad(" in text) is pads_separately
    assert ("caption.lower()" in text) is ("lower_case" in texts)
