"""Rules for the parameters of retrieval."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.contract import content_id
from tasks.retrieval.params import ADDED, Params


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"lr": 0.0}, "lr > 0"),
        ({"lr": float("nan")}, "lr > 0"),
        ({"weight_decay": -1.0}, "weight_decay >= 0"),
        ({"epochs": -1}, "epochs >= 0"),
        ({"temperature": 0.0}, "temperature > 0"),
        ({"batch_size": 1}, "batch_size >= 2"),
        ({"start": "warm"}, "one of pretrained, random"),
        ({"split": "train"}, "must not be train"),
        ({"num_captions": 0}, "num_captions >= 1"),
        ({"warmup_ratio": 1.0}, "0 <= warmup_ratio < 1"),
        ({"layer_decay": 0.0}, "0 < layer_decay <= 1"),
        ({"chunk_size": 0}, "chunk_size >= 1"),
        ({"itm_weight": -1.0}, "itm_weight >= 0"),
        ({"lora_rank": 0}, "lora_rank >= 1"),
        ({"lora_alpha": 0.0}, "lora_alpha > 0"),
        ({"lora_targets": "("}, "all-linear or a regular expression, but got '[(]'"),
        ({"ties": "best"}, "one of expected, strict, same_text"),
        ({"loss": "triplet"}, "one of contrastive, sigmoid"),
        ({"rerank_k": 0}, "rerank_k >= 1"),
        ({"max_tokens": 2}, "max_tokens >= 3"),
        ({"pairs": "every"}, "one of random, cycle, all"),
        ({"bias": float("inf")}, "bias is finite"),
    ],
)
def test_invalid_params_are_refused(values: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Params(**values)


def test_added_parameters_at_their_defaults_leave_ids_as_they_were() -> None:
    content = Params().content()
    assert not set(ADDED) & set(content)
    assert content_id(Params()) == "cf5cdc8e14084936"  # of the release before they were added
    assert Params(loss="sigmoid").content() == content | {"loss": "sigmoid"}
