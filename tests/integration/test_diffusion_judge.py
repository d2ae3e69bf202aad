"""Which pictures count as correct and as close to real ones, and the KID."""

from __future__ import annotations

import io
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from diffusion_trials import make_trial
from PIL import Image

from tasks.contract import Member, TrialError
from tasks.datasets import concepts
from tasks.diffusion import diffusion, judge, kid, probe, realness, training
from tasks.diffusion.stages import probe_stage
from tasks.diffusion.task import TASK

NUMBER = 120


@pytest.fixture(scope="module")
def fitted() -> Any:
    return judge.fit(concepts.resolve("concepts"))


@pytest.fixture(scope="module")
def real() -> concepts.Concepts:
    return concepts.load_split(concepts.resolve("concepts"), "probe-test")


def drawn(shape: int, color: tuple[float, float, float], size: float, seed: int = 0) -> Any:
    """Pictures of one object, placed and lit as in the data set."""
    rng = np.random.default_rng(seed)
    centers = (concepts.SIDE - 1) / 2 + rng.uniform(-1.5, 1.5, (NUMBER, 2))
    shapes, colors = np.full(NUMBER, shape), np.tile(color, (NUMBER, 1))
    ground = rng.uniform(0.45, 0.6, NUMBER)
    return concepts.draw(shapes, colors, np.full(NUMBER, size), centers, ground)


def noisy(images: Any, deviation: float) -> Any:
    noise = np.random.default_rng(1).normal(0, deviation, images.shape)
    return np.clip(images + noise, 0, 255).round().astype(np.uint8)


def blurred(images: Any, times: int) -> Any:
    """Replace pixels by the mean over 3 x 3, this number of times."""
    found = images.astype(float)
    for _ in range(times):
        padded = np.pad(found, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        parts = [padded[:, y : y + 28, x : x + 28] for y in range(3) for x in range(3)]
        found = np.mean(parts, axis=0)
    return found.round().astype(np.uint8)


def side_by_side(one: Any, other: Any) -> Any:
    return np.concatenate([one[:, :, 6:20], other[:, :, 8:22]], axis=2)


EMPTY = drawn(0, (0.5, 0.5, 0.5), 0.01)
BLUE, RED, GREEN = concepts.COLORS[1], concepts.COLORS[0], (0.1, 0.9, 0.1)
WRONG = {
    **{f"empty ground, noise {level}": noisy(EMPTY, level) for level in (5, 20, 40)},
    "a green circle": drawn(0, GREEN, 2.6),
    "a small green triangle": drawn(1, GREEN, 1.6),
    "a purple circle": drawn(0, (0.5, 0.1, 0.5), 2.6),
    "two triangles": side_by_side(drawn(1, BLUE, 1.6), drawn(1, BLUE, 1.6, seed=2)),
    "a red and a blue circle": side_by_side(drawn(0, RED, 1.6), drawn(0, BLUE, 1.6, seed=2)),
    "a blurred triangle": blurred(drawn(1, BLUE, 1.6), 6),
    "a triangle under noise": noisy(drawn(1, BLUE, 1.6), 20),
    "a triangle that is half gone": np.concatenate(
        [EMPTY[:, :14], drawn(1, BLUE, 1.6)[:, 14:]], axis=1
    ),
    "noise alone": np.random.default_rng(0).integers(0, 256, EMPTY.shape).astype(np.uint8),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_pictures_are_almost_never_right(fitted: Any, name: str) -> None:
    most = 0.1 if name == "a blurred triangle" else 0.02  # a blurred one is still a triangle
    for condition in concepts.CONDITIONS:
        assert judge.score(fitted, condition, WRONG[name])[0].mean() <= most, condition


def test_tint_and_faint_noise_do_not_change_the_verdict(
    fitted: Any, real: concepts.Concepts
) -> None:
    shift = np.array([12, -8, 6])  # a tint of the whole picture
    for condition in concepts.CONDITIONS:
        images = real.of(condition)
        tinted = np.clip(images.astype(int) + shift, 0, 255).astype(np.uint8)
        for changed, least in ((tinted, 0.9), (noisy(images, 8), 0.85)):
            assert judge.score(fitted, condition, changed)[0].mean() >= least, condition
        assert judge.score(fitted, condition, noisy(images, 40))[0].mean() <= 0.05, condition


def test_probe_alone_accepts_some_wrong_pictures(fitted: Any) -> None:
    """The reason for the second criterion: a linear probe cannot say that there is no object."""
    for name, least in (("empty ground, noise 40", 0.1), ("a green circle", 0.5)):
        shares = [
            judge.score(fitted, condition, WRONG[name])[1].all(1).mean()
            for condition in concepts.CONDITIONS
        ]
        assert max(shares) > least, name


def test_real_held_out_pictures_are_right(fitted: Any, real: concepts.Concepts) -> None:
    assert fitted["real_accuracy"] >= 0.975
    for condition in concepts.CONDITIONS:
        right, _, distance = judge.score(fitted, condition, real.of(condition))
        assert right.mean() >= 0.93  # of 62: 99 % are expected
        assert distance.min() > 0  # none of them is a reference


def test_pictures_of_other_conditions_are_far(fitted: Any, real: concepts.Concepts) -> None:
    for shown, asked in itertools.permutations(concepts.CONDITIONS, 2):
        assert (realness.relative_distance(fitted, asked, real.of(shown)) > 1).all()


def _distance(one: Any, other: Any) -> float:
    """The distance, written out: the mean of each cell minus the mean of the border."""
    parts = []
    for picture in (one.astype(float), other.astype(float)):
        border = [picture[y, x] for y in range(28) for x in range(28) if {y, x} & {0, 1, 26, 27}]
        ground = np.mean(border, axis=0)
        cells = [
            picture[y : y + 4, x : x + 4].reshape(16, 3).mean(0) - ground
            for y in range(0, 28, 4)
            for x in range(0, 28, 4)
        ]
        parts.append(np.array(cells))
    return float(((parts[0] - parts[1]) ** 2).mean()) ** 0.5


def test_distance_matches_a_slow_oracle(fitted: Any, real: concepts.Concepts) -> None:
    images = np.concatenate([real.of("011")[:3], WRONG["noise alone"][:2]])
    references = [
        image
        for image, digits in zip(fitted["references"], fitted["reference_digits"], strict=True)
        if digits.tolist() == [0, 1, 1]
    ]
    expected = [min(_distance(image, one) for one in references) for image in images]
    found = realness.nearest(fitted, "011", images)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(realness.nearest(fitted, "011", np.stack(references[:2])), 0)
    alone = np.concatenate([realness.nearest(fitted, "011", image[None]) for image in images])
    np.testing.assert_array_equal(alone, found)


def test_limit_accepts_99_percent_of_real_pictures(fitted: Any) -> None:
    held_out = concepts.load_split(concepts.resolve("concepts"), "held-out")
    for condition in concepts.CONDITIONS:
        near = realness.relative_distance(fitted, condition, held_out.of(condition)) <= 1
        assert near.mean() == pytest.approx(0.99, abs=0.003)


def test_splits_are_disjoint() -> None:
    splits = [
        concepts.load_split(concepts.resolve("concepts"), name).images for name in concepts.SPLITS
    ]
    pictures = [{image.tobytes() for image in images} for images in splits]
    for one, other in itertools.combinations(pictures, 2):
        assert not one & other


def test_accuracies_are_ordered_from_loose_to_strict(fitted: Any, real: concepts.Concepts) -> None:
    images = np.stack([real.of(condition)[:8] for condition in concepts.CONDITIONS])
    images[7, :4] = WRONG["empty ground, noise 40"][:4]
    images[7, 4] = noisy(images[7, 4], 12)  # the probe is right, but no real picture is close
    metrics, samples = diffusion.evaluate(images, fitted, concepts.conditions())
    for condition in concepts.CONDITIONS:
        strict, loose = metrics[f"accuracy_{condition}"], metrics[f"probe_{condition}"]
        assert strict <= loose <= metrics[f"attributes_{condition}"]
    assert metrics["accuracy_111"] < metrics["probe_111"]
    groups, right = np.array(samples["group"]), np.array(samples["right"])
    assert metrics["unseen_accuracy"] == pytest.approx(right[groups == "unseen"].mean())
    far = np.array(samples["distance"]) > 1
    assert not right[far & (groups != "mean")].any()
    predicted = probe.predict(fitted, images[7])
    assert metrics["probe_111"] == (predicted == 1).all(1).mean()


# --- KID ------------------------------------------------------------------------------------------


def test_kid_grows_with_damage(fitted: Any, real: concepts.Concepts) -> None:
    whole = [kid.of_condition(fitted, c, real.of(c)) for c in concepts.CONDITIONS]
    perfect = kid.summarize("", whole)
    assert perfect["kid_low"] <= 0.01
    damaged = []
    for share in (0, 8, 30):
        parts = []
        for condition in concepts.CONDITIONS:
            images = real.of(condition).copy()
            images[:share] = EMPTY[:share]
            parts.append(kid.of_condition(fitted, condition, images))
        damaged.append(kid.summarize("", parts))
    assert damaged[0] == perfect
    assert damaged[0]["kid_high"] < damaged[1]["kid"] < damaged[2]["kid_low"]


def test_too_few_pictures_have_no_kid(fitted: Any, real: concepts.Concepts) -> None:
    assert kid.of_condition(fitted, "000", real.of("000")[:2]) is None
    assert kid.summarize("seen_", [(1.0, 0.1), None]) == {}
    images = np.stack([real.of(condition)[:2] for condition in concepts.CONDITIONS])
    metrics, _ = diffusion.evaluate(images, fitted, concepts.conditions())
    assert not [name for name in metrics if "kid" in name]


def test_probe_reads_real_pictures(fitted: Any) -> None:
    assert fitted["accuracy"] >= probe.MIN_ACCURACY


def test_real_pictures_have_high_accuracy(fitted: Any) -> None:
    found = concepts.load_split(concepts.resolve("concepts"), "probe-test")
    images = np.stack(
        [
            found.images[(found.digits == [int(d) for d in condition]).all(1)][:40]
            for condition in concepts.CONDITIONS
        ]
    )
    metrics, samples = diffusion.evaluate(images, fitted, concepts.conditions())
    assert metrics["seen_accuracy"] >= 0.97
    assert metrics["unseen_accuracy"] >= 0.97
    swapped, _ = diffusion.evaluate(images[::-1], fitted, concepts.conditions())
    assert swapped["seen_accuracy"] <= 0.03  # the condition is 000 and the picture 111, and so on
    assert 0 < swapped["seen_attributes"] < 0.6
    assert samples["group"].count("mean") == 8
    place = samples["sample"].index("010-mean")
    mean = np.asarray(Image.open(io.BytesIO(samples["picture"][place])))
    np.testing.assert_array_equal(mean, np.round(images[3].mean(0)).astype(np.uint8))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("accuracy", r"classifies 90.0 % of real .* mean nothing"),
        ("real_accuracy", r"only 90.0 % of real .* too few images"),
    ],
)
def test_unreliable_judge_fails_the_trial_before_training(
    fitted: Any, key: str, message: str
) -> None:
    trial = make_trial()
    inputs = {probe_stage(trial): {**fitted, key: np.array(0.9)}}
    with pytest.raises(TrialError, match=message):
        TASK.start(trial, inputs, "cpu")


def test_trials_that_differ_in_sampling_share_training(
    fitted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [
        make_trial(),
        make_trial(sampler="dpm"),
        make_trial(num_samples=2),
        make_trial(ema=0.5),
        make_trial(eta=0.0),
    ]
    assert len({TASK.pack_key(trial) for trial in trials}) == 2
    inputs = {probe_stage(trials[0]): fitted}
    epochs = []
    real = training.train_epoch
    monkeypatch.setattr(
        training, "train_epoch", lambda *args: epochs.append(args[0].id) or real(*args)
    )
    members = [Member(trial=t, state=TASK.start(t, inputs, "cpu")) for t in trials]
    for _ in range(2):
        results: Any = TASK.advance(members, inputs, "cpu")
        members = [Member(trial=m.trial, state=r[0]) for m, r in zip(members, results, strict=True)]
    assert epochs == [trials[0].id, trials[3].id] * 2


def test_training_learns_and_ema_lags() -> None:
    trial = make_trial(epochs=6, draws=640, ema=0.9)
    state = training.start(trial, "cpu")
    losses = []
    for _ in range(6):
        state, loss = training.train_epoch(trial, state, "cpu")
        losses.append(loss)
    assert losses[-1] < losses[0] / 2
    weight, averaged = state.arrays["weight.outward.3.bias"], state.arrays["ema.outward.3.bias"]
    assert not torch.equal(weight, averaged)
    assert torch.allclose(weight, averaged, atol=0.05)
    assert state.values == {"epoch": 6, "steps": 60}
