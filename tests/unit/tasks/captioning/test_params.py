"""Rules for the parameters of captioning."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.captioning.params import ADDED, Decoding, Params
from tasks.contract import content_id


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"decoding": "best"}, "one of greedy, sample, beam"),
        ({"top_k": 0}, "top_k >= 1"),
        ({"top_p": 1.5}, "0 < top_p <= 1"),
        ({"temperature": 0.0}, "temperature > 0"),
        ({"temperature": float("nan")}, "temperature > 0"),
        ({"num_beams": 1}, "num_beams >= 2"),
        ({"decoding": "beam", "num_beams": None}, "num_beams >= 2"),
        ({"min_length": 30}, "min_length < max_length"),
        ({"min_length": -1}, "min_length >= 0"),
        ({"repetition_penalty": 0.0}, "repetition_penalty > 0"),
        ({"num_images": 0}, "num_images >= 1"),
        ({"num_references": 0}, "num_references >= 1"),
        ({"min_p": 0.0}, "0 < min_p < 1"),
        ({"typical_p": 1.0}, "0 < typical_p < 1"),
        ({"top_h": -0.1}, "0 < top_h < 1"),
        ({"epsilon_cutoff": 2.0}, "0 < epsilon_cutoff < 1"),
        ({"eta_cutoff": float("nan")}, "0 < eta_cutoff < 1"),
        ({"no_repeat_ngram_size": 0}, "no_repeat_ngram_size >= 1"),
        ({"num_samples": 1}, "num_samples >= 2"),
        ({"length_penalty": float("inf")}, "length_penalty is finite"),
    ],
)
def test_invalid_params_are_refused(values: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Params(**values)


def test_parameters_that_were_added_do_not_change_the_ids_of_trials() -> None:
    first_release = {
        "decoding": "sample",
        "prompt": "a picture of ",
        "top_k": 50,
        "top_p": None,
        "temperature": 0.7,
        "num_beams": 4,
        "min_length": 10,
        "max_length": 30,
        "repetition_penalty": 1.0,
        "faithful": False,
        "split": "val",
        "num_images": None,
        "num_references": None,
        "precision": "float32",
    }
    assert content_id(Params()) == content_id(first_release)
    assert all(getattr(Params(), name) is None for name in ADDED)
    assert content_id(Params(min_p=0.1)) == content_id(first_release | {"min_p": 0.1})


@pytest.mark.parametrize("decoding", ["greedy", "sample", "beam"])
def test_unused_parameters_have_one_value(decoding: Decoding) -> None:
    plain = Params(decoding=decoding)
    unused: dict[str, Any] = {"length_penalty": 1.0, "early_stopping": False}
    if decoding != "sample":
        unused |= {"min_p": 0.1, "typical_p": 0.5, "top_h": 0.5, "eta_cutoff": 0.1}
        unused |= {"num_samples": 3}
    if decoding != "beam":
        unused |= {"length_penalty": 2.0, "early_stopping": True}
    assert Params(decoding=decoding, **unused).resolved() == plain.resolved()
    assert Params(decoding=decoding, no_repeat_ngram_size=2).resolved() != plain.resolved()
