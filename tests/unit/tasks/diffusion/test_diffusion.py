"""Schedules and samplers against closed forms, the pictures, the probe, and shared training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.contract import DataError, RequestError
from tasks.datasets import concepts
from tasks.diffusion import samplers, schedule, training
from tasks.diffusion.params import Params
from tasks.diffusion.task import TASK
from tasks.diffusion.unet import UNet

LINEAR = schedule.linear(500, 1e-4, 0.02)


# --- schedules ------------------------------------------------------------------------------------


def test_the_linear_schedule_has_the_protocols_values() -> None:
    betas = [1e-4 + (0.02 - 1e-4) * t / 499 for t in range(500)]
    expected = np.cumprod([1 - beta for beta in betas])
    np.testing.assert_allclose(LINEAR.alpha_bar.numpy(), expected, rtol=1e-12)
    assert float(LINEAR.alpha_bar[-1]) == pytest.approx(0.00635, abs=2e-4)


def test_the_cosine_schedule_is_its_formula() -> None:
    found = schedule.cosine(100).alpha_bar
    f = np.cos((np.arange(101) / 100 + 0.008) / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(found[:-1].numpy(), (f / f[0])[1:-1], rtol=1e-9)
    betas = 1 - found[1:] / found[:-1]
    assert float(betas.max()) <= 0.999 + 1e-12


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_a_prediction_stands_for_image_and_noise(prediction: str) -> None:
    torch.manual_seed(0)
    x0, noise = torch.randn(6, 3, 4, 4), torch.randn(6, 3, 4, 4)
    index = torch.tensor([0, 10, 100, 250, 400, 480])
    x = LINEAR.add_noise(x0, noise, index)
    found = LINEAR.split(prediction, LINEAR.target(prediction, x0, noise, index), x, index)
    torch.testing.assert_close(found[0], x0, atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(found[1], noise, atol=2e-3, rtol=1e-3)


def test_min_snr_weights_the_image_error_by_at_most_gamma() -> None:
    index = torch.arange(500)
    ratio = (LINEAR.alpha_bar / (1 - LINEAR.alpha_bar)).float()
    # Both parametrisations weigh the error of x_0 alike: by min(SNR, gamma).
    of_epsilon = LINEAR.weight("epsilon", 5.0, index) * ratio
    of_v = LINEAR.weight("v", 5.0, index) * (ratio + 1)
    torch.testing.assert_close(of_epsilon, ratio.clamp(max=5.0))
    torch.testing.assert_close(of_v, ratio.clamp(max=5.0))
    assert (LINEAR.weight("epsilon", None, index) == 1).all()


# --- samplers -------------------------------------------------------------------------------------

SPREAD = 0.2  # of a Gaussian data set, whose best denoiser is known


def gaussian(x: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The posterior mean of x_0, and of the noise, for pixels that are N(0, SPREAD ** 2)."""
    alpha_bar = LINEAR.alpha_bar[index].float()[:, None, None, None]
    total = alpha_bar * SPREAD**2 + 1 - alpha_bar
    return alpha_bar.sqrt() * SPREAD**2 * x / total, (1 - alpha_bar).sqrt() * x / total


def last(steps: Any) -> torch.Tensor:
    return list(steps)[-1]


def test_every_sampler_draws_the_known_gaussian() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((400, 3, 8, 8), generator=generator)
    drawn = {
        "ancestral": last(samplers.ancestral(gaussian, LINEAR, noise, generator)),
        "ddim": last(samplers.ddim(gaussian, LINEAR, noise, 500, clip=False)),
        "noisy ddim": last(
            samplers.ddim(gaussian, LINEAR, noise, 500, generator, eta=1.0, clip=False)
        ),
        "dpm": last(samplers.dpm_solver(gaussian, LINEAR, noise, 50, clip=False)),
    }
    for name, images in drawn.items():
        assert float(images.std()) == pytest.approx(SPREAD, rel=0.05), name
        assert abs(float(images.mean())) < 0.01, name


def test_the_solvers_follow_the_exact_path() -> None:
    """For a Gaussian the probability flow only rescales x: x_0 = SPREAD / std(x_T) x_T."""
    noise = torch.randn((4, 3, 8, 8), generator=torch.Generator().manual_seed(1))
    alpha_bar = float(LINEAR.alpha_bar[-1])
    exact = SPREAD / (alpha_bar * SPREAD**2 + 1 - alpha_bar) ** 0.5 * noise
    errors = {}
    for number in (10, 20, 40):
        for name, solver in (("ddim", samplers.ddim), ("dpm", samplers.dpm_solver)):
            found = last(solver(gaussian, LINEAR, noise, number, clip=False))
            errors[name, number] = float((found - exact).abs().max())
    assert errors["dpm", 20] < errors["ddim", 20]  # second order against first
    for name in ("ddim", "dpm"):
        assert errors[name, 40] < errors[name, 20] < errors[name, 10]


@pytest.mark.parametrize("number", [1, 2, 7, 500])
def test_steps_are_spread_from_the_last_level_to_the_first(number: int) -> None:
    found = samplers.spaced(500, number)
    assert len(found) == number
    assert found[0] == 499
    assert found == sorted(set(found), reverse=True)
    assert number == 1 or found[-1] == 0


def test_guidance_at_scale_one_is_none() -> None:
    conditional, unconditional = torch.randn(2, 3), torch.randn(2, 3)
    torch.testing.assert_close(samplers.guided(conditional, unconditional, 1.0), conditional)
    torch.testing.assert_close(samplers.guided(conditional, unconditional, 0.0), unconditional)
    torch.testing.assert_close(
        samplers.guided(conditional, unconditional, 2.0), 2 * conditional - unconditional
    )


# --- network --------------------------------------------------------------------------------------


@pytest.mark.parametrize("attention", [False, True])
def test_time_and_condition_move_the_output(attention: bool) -> None:
    torch.manual_seed(0)
    network = UNet(8, attention=attention)
    x, time = torch.randn(2, 3, 28, 28), torch.tensor([0.5, 0.5])
    condition = torch.tensor([[1.0, 0, 0.9, 0.1, 0.1, 2.6]] * 2)
    out = network(x, time, condition)
    assert out.shape == x.shape
    for place in range(6):
        changed = condition.clone()
        changed[:, place] += 0.5
        assert not torch.allclose(network(x, time, changed), out)
    assert not torch.allclose(network(x, time + 0.1, condition), out)


# --- pictures and probe ---------------------------------------------------------------------------


def test_training_shows_the_seen_conditions_alone() -> None:
    for split, conditions in (("train", concepts.SEEN), ("probe-test", concepts.CONDITIONS)):
        found = concepts.load_split("concepts", split)
        assert len(found) == concepts.SPLITS[split]
        told = {"".join(map(str, row)) for row in found.digits.tolist()}
        assert told == set(conditions)
        assert found.images.shape[1:] == (28, 28, 3)


def test_a_picture_shows_what_its_condition_says() -> None:
    found = concepts.load_split("concepts", "probe-test")
    ground = found.images[:, :2].mean(axis=(1, 2), keepdims=True)
    far = np.abs(found.images.astype(float) - ground).max(3) > 60  # where the object is
    area = far.sum((1, 2))
    small = found.digits[:, 2] == 1
    assert area[small].max() < area[~small].min() + 40
    assert area[small].mean() < area[~small].mean() / 1.8
    middle = found.images[:, 13:16, 13:16].astype(float).mean((1, 2))
    red = found.digits[:, 1] == 0
    assert (middle[red, 0] > middle[red, 2]).all()
    assert (middle[~red, 2] > middle[~red, 0]).all()
    filled = area / np.array([np.ptp(np.argwhere(one), axis=0).prod() for one in far])
    triangle = found.digits[:, 0] == 1
    assert filled[~triangle].mean() > filled[triangle].mean() + 0.15


def clevr(root: Path, number: int = 10) -> None:
    root.mkdir(exist_ok=True)
    drawn = concepts.load_split("concepts", "probe-train")
    for condition in concepts.CONDITIONS:
        rows = np.flatnonzero((drawn.digits == [int(d) for d in condition]).all(1))[:number]
        for place, row in enumerate(rows):
            file = root / f"CLEVR_{condition}_{place}.png"
            Image.fromarray(drawn.images[row]).resize((56, 56)).save(file)
            told = [float(drawn.sizes[row]), [*map(float, drawn.colours[row]), 1.0], "rubber"]
            file.with_suffix(".json").write_text(json.dumps(told))


def test_the_labs_files(tmp_path: Path) -> None:
    clevr(tmp_path)
    source = concepts.resolve(f"clevr:{tmp_path}")
    train = concepts.load_split(source.name, "train")
    assert len(train) == 20
    assert {"".join(map(str, row)) for row in train.digits.tolist()} == set(concepts.SEEN)
    assert train.images.shape == (20, 28, 28, 3)
    assert 1.4 < train.sizes.min() < train.sizes.max() < 2.8
    assert len(concepts.load_split(source.name, "probe-test")) == 8
    assert len(concepts.load_split(source.name, "probe-train")) == 24
    splits = [concepts.load_split(source.name, split).images for split in concepts.SPLITS]
    pictures = [image.tobytes() for images in splits for image in images]
    assert len(set(pictures)) == len(pictures) == 60  # no picture is in two splits


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda r: [f.unlink() for f in r.glob("CLEVR_110_*")], "no CLEVR_110_N.png"),
        (lambda r: (r / "CLEVR_000_3.json").unlink(), "CLEVR_000_3.json is missing"),
    ],
)
def test_what_is_wrong_with_the_labs_files_is_said(
    damage: Any, message: str, tmp_path: Path
) -> None:
    clevr(tmp_path)
    damage(tmp_path)
    with pytest.raises(DataError, match=message):
        concepts.resolve(f"clevr:{tmp_path}")


def test_a_damaged_description_is_named(tmp_path: Path) -> None:
    clevr(tmp_path)
    (tmp_path / "CLEVR_001_2.json").write_text("[1.6]")
    with pytest.raises(DataError, match=r"CLEVR_001_2.json must be \[size"):
        concepts.load_split(concepts.resolve(f"clevr:{tmp_path}").name, "train")


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        ("resnet", "concepts", "--model unet"),
        ("unet", "scenes", "--data takes concepts or clevr:DIR"),
        ("unet", "clevr:", "--data takes concepts or clevr:DIR"),
        ("unet", "clevr:/nowhere", "no such folder"),
    ],
)
def test_other_models_and_data_are_refused(model: str, data: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        TASK.resolve(model, data)


# --- trials ---------------------------------------------------------------------------------------

SMALL: dict[str, Any] = {
    "features": 8,
    "epochs": 2,
    "draws": 128,
    "num_steps": 20,
    "sampling_steps": 4,
    "num_samples": 4,
    "precision": "float32",
}


def make_trial(**params: Any) -> Any:
    from tasks.contract import Trial

    model, data = TASK.resolve("unet", "concepts")
    made = Params(**(SMALL | params))
    return TASK.normalize(
        Trial(task="diffusion", version="1", params=made, seed=0, model=model, data=data)
    )


def test_the_average_is_the_weighted_mean_of_all_steps() -> None:
    trial = make_trial(epochs=5, draws=64, ema=0.8)  # a step an epoch
    state = training.start(trial, "cpu")
    seen = []
    for _ in range(5):
        state, _ = training.train_epoch(trial, state, "cpu")
        seen.append(state.arrays["weight.outward.3.bias"])
    shares = torch.tensor([0.8**age for age in range(4, -1, -1)])
    expected = (torch.stack(seen) * (shares / shares.sum())[:, None]).sum(0)
    torch.testing.assert_close(state.arrays["ema.outward.3.bias"], expected)


def test_attention_is_another_training() -> None:
    assert make_trial(attention=True).id != make_trial().id


def test_the_learning_rate_follows_the_width() -> None:
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
def test_params_refuse_what_makes_no_sense(values: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Params(**values)
