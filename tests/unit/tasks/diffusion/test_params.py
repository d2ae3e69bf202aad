"""Defaults and rules of the parameters of diffusion."""

from __future__ import annotations

from typing import Any

import pytest
from diffusion_trials import make_trial

from tasks.diffusion.params import Params


def test_attention_changes_the_trial() -> None:
    assert make_trial(attention=True).id != make_trial().id


def test_default_learning_rate_depends_on_the_width() -> None:
    assert make_trial(features=256).params.lr == pytest.approx(1e-4)
    assert make_trial(features=32).params.lr == pytest.approx(8e-4)
    assert make_trial(features=32, lr=8e-4).id == make_trial(features=32).id
    assert make_trial(sampler="ancestral", sampling_steps=3).params.sampling_steps == 20
    assert make_trial(precision="auto").params.precision in ("float32", "bfloat16")


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"schedule": "quadratic"}, "one of linear, cosine"),
        ({"prediction": "x0"}, "one of epsilon, v"),
        ({"features": 4}, "features >= 8"),
        ({"epochs": 0}, "epochs >= 1"),
        ({"draws": 10}, "draws >= batch_size"),
        ({"lr": -1.0}, "lr > 0"),
        ({"beta_1": 0.5}, "0 < beta_1 <= beta_last < 1"),
        ({"ema": 1.0}, "0 <= ema < 1"),
        ({"sampling_steps": 501}, "sampling_steps <= num_steps"),
        ({"guidance": 2.0}, "guidance == 1 or drop_condition > 0"),
        ({"num_samples": 0}, "num_samples >= 1"),
        ({"eta": 1.5}, "0 <= eta <= 1"),
    ],
)
def test_invalid_params_are_refused(values: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Params(**values)
