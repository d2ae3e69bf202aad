"""Defaults and rules of the parameters of diffusion."""

from __future__ import annotations

from typing import Any

import pytest
from diffusion_trials import make_trial

from tasks.diffusion.params import Params
from tasks.diffusion.task import TASK


def test_attention_changes_the_trial() -> None:
    assert make_trial(attention=True).id != make_trial().id


def test_default_learning_rate_depends_on_the_width() -> None:
    assert make_trial(features=256).params.lr == pytest.approx(1e-4)
    assert make_trial(features=32).params.lr == pytest.approx(8e-4)
    assert make_trial(features=32, lr=8e-4).id == make_trial(features=32).id
    assert make_trial(sampler="ancestral", sampling_steps=3).params.sampling_steps == 20
    assert make_trial(sampler="ddim").id == make_trial().id
    assert make_trial(precision="auto").params.precision in ("float32", "bfloat16")


def test_flow_has_its_own_sampler_and_no_noise_schedule() -> None:
    flow = make_trial(prediction="flow", sampling_steps=30)  # more than SMALL's num_steps
    assert flow.params.sampler == "euler"
    assert flow.params.sampling_steps == 30
    same = make_trial(prediction="flow", sampling_steps=30, schedule="cosine", num_steps=40, eta=0)
    assert same.id == flow.id
    assert make_trial(prediction="flow", sampler="heun", sampling_steps=30).id != flow.id


def test_each_network_has_its_own_parameters() -> None:
    dit = make_trial(network="dit").params
    assert (dit.patch_size, dit.depth, dit.width, dit.heads) == (4, 4, 128, 4)
    assert dit.lr == pytest.approx(8e-4)
    assert make_trial(network="dit", features=64, attention=True).params == dit
    unet = make_trial(network="unet", depth=9).params
    assert unet == make_trial().params
    assert (unet.network, unet.depth) == (None, None)
    assert make_trial(network="dit", depth=2).id != make_trial(network="dit").id


def test_built_in_trials_keep_their_ids() -> None:
    assert make_trial().id == "7df3748421b89e83"
    assert make_trial(sampler="dpm", prediction="v", attention=True).id == "0bdfe98fe3e0cd40"


def test_memory_of_the_default_network_is_that_of_the_unet() -> None:
    wide, narrow = (TASK.estimate_memory(make_trial(features=n)) for n in (64, 32))
    assert wide > narrow > 0
    assert TASK.estimate_memory(make_trial(network="unet")) == TASK.estimate_memory(make_trial())
    assert TASK.estimate_memory(make_trial(network="dit")) > 0


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"schedule": "quadratic"}, "one of linear, cosine"),
        ({"prediction": "noise"}, "one of epsilon, v, x0, flow"),
        ({"sampler": "heun"}, "prediction=epsilon needs a sampler of ancestral, ddim, dpm"),
        (
            {"prediction": "flow", "sampler": "ddim"},
            "prediction=flow needs a sampler of euler, heun, but got sampler=ddim",
        ),
        ({"features": 4}, "features >= 8"),
        ({"epochs": 0}, "epochs >= 1"),
        ({"draws": 10}, "draws >= batch_size"),
        ({"lr": -1.0}, "lr > 0"),
        ({"beta_1": 0.5}, "0 < beta_1 <= beta_last < 1"),
        ({"ema": 1.0}, "0 <= ema < 1"),
        ({"sampling_steps": 501}, "sampling_steps <= num_steps"),
        ({"guidance": 2.0}, "guidance == 1 or drop_condition > 0"),
        ({"num_samples": 0}, "num_samples >= 1"),
        ({"network": "mlp"}, "network must be one of unet, dit"),
        ({"patch_size": 5}, "28 % patch_size == 0"),
        ({"patch_size": 0}, "patch_size >= 1"),
        ({"depth": 0}, "depth >= 1"),
        ({"width": 30}, "width % 4 == 0 and width % heads == 0"),
        ({"width": 64, "heads": 3}, "width % 4 == 0 and width % heads == 0"),
        ({"eta": 1.5}, "0 <= eta <= 1"),
    ],
)
def test_invalid_params_are_refused(values: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Params(**values)
