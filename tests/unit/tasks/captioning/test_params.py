"""Rules for the parameters of captioning."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.captioning.params import Params


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
    ],
)
def test_invalid_params_are_refused(values: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Params(**values)
