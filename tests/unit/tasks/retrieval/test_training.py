"""AdamW against torch's, stacks against single members, a state saved between all steps."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.saving.checkpoints import decode, encode
from tasks.contract import Member, Source, State, Step, Trial, TrialError
from tasks.retrieval import stages, training
from tasks.retrieval.optimizer import MIN_TEMPERATURE, adamw_step, clamp_temperature
from tasks.retrieval.params import Params


def test_adamw_is_torchs() -> None:
    torch.manual_seed(0)
    start = {"a": torch.randn(4, 3), "b": torch.randn(4)}
    ours = {k: torch.stack([torch.zeros_like(v), v]) for k, v in start.items()}  # a stack of two
    means = {k: torch.zeros_like(v) for k, v in ours.items()}
    squares = {k: torch.zeros_like(v) for k, v in ours.items()}
    theirs = [torch.nn.Parameter(v.clone()) for v in start.values()]
    optimiser = torch.optim.AdamW(theirs, lr=0.1, weight_decay=0.3)
    for step in range(1, 8):
        gradients = tuple(torch.randn_like(v) for v in start.values())
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient.clone()
        optimiser.step()
        stacked = [torch.stack([g, g], dim=-1).movedim(-1, 0) for g in gradients]  # as they come
        adamw_step([1], ours, stacked, (means, squares), 0.1, 0.3, step)
    for mine, expected in zip(ours.values(), theirs, strict=True):
        assert (mine[0] == 0).all()
        torch.testing.assert_close(mine[1], expected.detach(), rtol=1e-5, atol=1e-6)


def test_a_temperature_below_the_bound_moves_once_it_is_clamped() -> None:
    """A clamp inside the loss would leave it without a gradient for good."""
    trial = make_trial(start="random", learn_temperature=True, temperature=0.005, epochs=4, lr=0.05)
    inputs = make_inputs(trial)
    state = training.start(trial, inputs, "cpu")
    found = []
    for _ in range(4):
        state, _ = advance_one(trial, state, inputs)
        found.append(float(state.arrays["weight.log_temperature"].exp()))
    assert min(found) >= MIN_TEMPERATURE - 1e-9
    assert found[-1] > 1.1 * MIN_TEMPERATURE  # random pairs want a higher one


def test_a_temperature_that_would_fall_stays_at_the_bound() -> None:
    weights = {"log_temperature": torch.tensor([math.log(0.002), math.log(0.3)])}
    clamp_temperature(weights)
    torch.testing.assert_close(weights["log_temperature"].exp(), torch.tensor([0.01, 0.3]))
    clamp_temperature({})  # a fixed one


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_decay_leaves_a_learnable_temperature_alone(decay: float) -> None:
    weights = {"head": torch.ones(1, 3), "log_temperature": torch.full((1,), -2.0)}
    moments = tuple({k: torch.zeros_like(v) for k, v in weights.items()} for _ in range(2))
    no_gradient = [torch.zeros_like(v) for v in weights.values()]
    for step in range(1, 4):
        adamw_step([0], weights, no_gradient, moments, 0.1, decay, step)  # type: ignore[arg-type]
    assert weights["log_temperature"].item() == -2.0
    torch.testing.assert_close(weights["head"], torch.full((1, 3), (1 - 0.1 * decay) ** 3))


@pytest.mark.parametrize("shape", [(6, 4), (3, 6, 4)])
def test_the_loss_is_the_mean_of_both_cross_entropies(shape: tuple[int, ...]) -> None:
    image, text = torch.randn(shape), torch.randn(shape)
    found = training.contrastive_loss(image, text, 0.3)
    expected = []
    for one, other in zip(image.reshape(-1, 6, 4), text.reshape(-1, 6, 4), strict=True):
        logits, target = one @ other.T / 0.3, torch.arange(6)
        ways = [torch.nn.functional.cross_entropy(each, target) for each in (logits, logits.T)]
        expected.append(torch.stack(ways).mean())
    torch.testing.assert_close(found.reshape(-1), torch.stack(expected))


def make_trial(**params: object) -> Trial:
    source = Source(name="x", fingerprint="x")
    return Trial(
        task="retrieval",
        version="1",
        params=Params(**{"lr": 1e-2, "batch_size": 8, "augment": False} | params),  # type: ignore[arg-type]
        seed=3,
        model=source,
        data=source,
    )


def make_inputs(trial: Trial, num_images: int = 40) -> dict[Any, Any]:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(num_images, 6))
    images = (hidden @ rng.normal(size=(6, 12))).astype(np.float32)
    texts = (np.repeat(hidden, 2, 0) @ rng.normal(size=(6, 10))).astype(np.float32)
    captions = {
        "features": texts,
        "row": np.arange(2 * num_images),
        "owner": np.repeat(np.arange(num_images), 2),
    }
    heads = {
        "image.weight": np.zeros((5, 12), np.float32),
        "image.bias": np.zeros(5, np.float32),
        "text.weight": np.zeros((5, 10), np.float32),
        "text.bias": np.zeros(5, np.float32),
        "widths": np.array([12, 10]),
    }
    values = {"encode_images": {"features": images}, "encode_texts": captions}
    return {s: values.get(s.function.__name__, heads) for s in stages.needed(trial)}


def advance_one(trial: Trial, state: State, inputs: dict[Any, Any]) -> tuple[State, Step]:
    (result,) = training.advance([Member(trial=trial, state=state)], inputs, "cpu")
    assert not isinstance(result, Exception), result
    return result


def run(
    trials: list[Trial], inputs: dict[Any, Any], device: str = "cpu"
) -> list[list[Step] | Exception]:
    """Every member's steps, all in one pack; an exception in place of a member that failed."""
    told: dict[str, list[Step] | Exception] = {trial.id: [] for trial in trials}
    going = [Member(trial=t, state=training.start(t, inputs, device)) for t in trials]
    while going:
        results = training.advance(going, inputs, device)
        after = []
        for member, result in zip(going, results, strict=True):
            if isinstance(result, Exception):
                told[member.trial.id] = result
                continue
            told[member.trial.id].append(result[1])  # type: ignore[union-attr]
            if not result[1].done:
                after.append(Member(trial=member.trial, state=result[0]))
        going = after
    return list(told.values())


def varied() -> list[Trial]:
    """Members that differ in all that a stack lets differ, and two that do not fit into it."""
    rows: list[dict[str, object]] = [
        {"lr": 1e-2, "epochs": 3},
        {"lr": 1e-3, "epochs": 2, "weight_decay": 0.5},
        {"lr": 1e-2, "epochs": 3, "temperature": 0.7},
        {"lr": 3e-2, "epochs": 4, "start": "pretrained"},
        {"lr": 1e-2, "epochs": 3, "batch_size": 10},
        {"lr": 1e-2, "epochs": 3, "learn_temperature": True},
    ]
    trials = [make_trial(**({"start": "random"} | row)) for row in rows]
    return [*trials, dataclasses.replace(trials[0], seed=9)]


@pytest.mark.parametrize("stack_bytes", [1, 40_000, 10**9])
def test_a_stack_gives_what_its_members_give_alone(
    stack_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = varied()
    inputs = make_inputs(trials[3])
    monkeypatch.setattr(training, "STACK_BYTES", stack_bytes)
    members = [Member(trial=t, state=training.start(t, inputs, "cpu")) for t in trials]
    sizes = sorted(len(stack) for stack in training.make_stacks(members, "cpu"))
    assert sizes == {1: [1] * 7, 40_000: [1, 1, 5], 10**9: [1, 1, 5]}[stack_bytes]
    together = run(trials, inputs)
    for trial, steps in zip(trials, together, strict=True):
        (alone,) = run([trial], inputs)
        assert [s.metrics["loss"] for s in steps] == pytest.approx(  # type: ignore[union-attr]
            [s.metrics["loss"] for s in alone],  # type: ignore[union-attr]
            rel=1e-4,
        )
        ranks = [np.array(s[-1].samples["rank"]) for s in (steps, alone)]  # type: ignore[index]
        assert (ranks[0] != ranks[1]).mean() <= 0.02


def test_a_nan_in_one_member_hurts_no_other() -> None:
    trials = [make_trial(start="random", epochs=2, lr=lr) for lr in (1e-2, 1e38, 1e-3)]
    inputs = make_inputs(trials[0])
    fine, broken, slow = run(trials, inputs)
    assert isinstance(broken, TrialError)
    assert "lower lr" in str(broken)
    for found, trial in ((fine, trials[0]), (slow, trials[2])):
        (alone,) = run([trial], inputs)
        assert [s.metrics["loss"] for s in found] == pytest.approx(  # type: ignore[union-attr]
            [s.metrics["loss"] for s in alone],  # type: ignore[union-attr]
            rel=1e-4,
        )


def test_embeddings_that_are_not_finite_are_no_perfect_score() -> None:
    trial = make_trial(start="random", epochs=0)
    inputs = make_inputs(trial)
    state = training.start(trial, inputs, "cpu")
    state.arrays["weight.image.weight"][0, 0] = float("nan")
    (result,) = training.advance([Member(trial=trial, state=state)], inputs, "cpu")
    assert isinstance(result, TrialError)
    assert "not finite" in str(result)


def test_a_stack_that_breaks_goes_on_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [make_trial(start="random", epochs=1, lr=lr) for lr in (1e-2, 1e-3)]
    inputs = make_inputs(trials[0])
    real = training.train_epoch

    def no_room(stack: list[Member], *args: Any) -> Any:
        if len(stack) > 1:
            raise MemoryError("no room for two")
        return real(stack, *args)

    monkeypatch.setattr(training, "train_epoch", no_room)
    assert all(isinstance(steps, list) for steps in run(trials, inputs))


@pytest.mark.parametrize("learn", [False, True])
def test_a_state_saved_between_all_steps_changes_nothing(learn: bool) -> None:
    trial = make_trial(start="random", epochs=4, learn_temperature=learn)
    inputs = make_inputs(trial)
    straight = resumed = training.start(trial, inputs, "cpu")
    for _ in range(4):
        straight, expected = advance_one(trial, straight, inputs)
        resumed, _ = decode(encode(resumed, []), "cpu")
        resumed, step = advance_one(trial, resumed, inputs)
        assert step.metrics == expected.metrics
    assert step.done
    assert step.at == 4
    assert step.samples == expected.samples


def test_training_learns_and_seeds_differ() -> None:
    trial = make_trial(start="random", epochs=15)
    inputs = make_inputs(trial)
    state = training.start(trial, inputs, "cpu")
    losses, recall = [], 0.0
    for _ in range(15):
        state, step = advance_one(trial, state, inputs)
        losses.append(step.metrics["loss"])
        recall = step.metrics["i2t_r1"]
    assert losses[-1] < losses[0] / 2
    assert recall > 0.5
    other = dataclasses.replace(trial, seed=4)
    again = training.start(other, make_inputs(other), "cpu")
    first = training.start(trial, inputs, "cpu")
    assert not torch.equal(again.arrays["weight.image.weight"], first.arrays["weight.image.weight"])


def test_captions_that_take_part_are_the_first_of_each_image() -> None:
    captions = [["b", "a", "b"], ["a"], ["long one", "c"]]
    every = stages.index_captions(captions)
    assert [every[0][row] for row in every[1]] == ["b", "a", "b", "a", "long one", "c"]
    assert every[2].tolist() == [0, 0, 0, 1, 2, 2]
    distinct, row, owner = stages.index_captions(captions, 1)
    assert [distinct[each] for each in row] == ["b", "a", "long one"]
    assert owner.tolist() == [0, 1, 2]
    assert stages.index_captions(captions, 2)[2].tolist() == [0, 0, 1, 2, 2]


def test_stages_follow_the_number_of_captions_and_the_count_of_ties_does_not() -> None:
    plain = make_trial(augment=True)
    keys = {s.key for s in stages.needed(plain)}
    assert {s.key for s in stages.needed(make_trial(augment=True, ties="strict"))} == keys
    fewer = {
        s for s in stages.needed(make_trial(augment=True, num_captions=1)) if s.key not in keys
    }
    assert {(s.function.__name__, s.args["split"]) for s in fewer} == {
        ("encode_texts", "train"),
        ("encode_texts", "val"),
    }
    versions = {(s.args.get("draw") is None, s.version) for s in stages.needed(plain)}
    assert versions == {(True, "1"), (False, "2")}  # only what is augmented was raised


@pytest.mark.parametrize("ties", ["expected", "strict", "same_text"])
def test_samples_hold_what_the_metrics_are_means_of(ties: str) -> None:
    trial = make_trial(start="random", epochs=6, ties=ties)
    inputs = make_inputs(trial)
    for stage, value in inputs.items():
        if stage.function.__name__ == "encode_texts":  # two images share both captions
            inputs[stage] = value | {"row": value["row"] // 4 * 4}
    (steps,) = run([trial], inputs)
    step = steps[-1]  # type: ignore[index]
    samples = {k: np.array(v) for k, v in step.samples.items()}  # type: ignore[union-attr]
    for direction in ("i2t", "t2i"):
        rows = samples["direction"] == direction
        for k in (1, 5, 10):
            assert samples[f"hit{k}"][rows].mean() == step.metrics[f"{direction}_r{k}"]
        assert samples["rank"][rows].mean() == step.metrics[f"{direction}_mean_rank"]
    assert (0.5 in samples["hit1"]) == (ties == "expected")
    assert set(samples["hit1"].tolist()) <= {0.0, 0.5, 1.0}


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
        ({"ties": "best"}, "one of expected, strict, same_text"),
    ],
)
def test_params_refuse_what_makes_no_sense(values: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Params(**values)


def test_a_checkpoint_without_heads_is_refused(tmp_path: Path) -> None:
    from transformers import BlipConfig, BlipForConditionalGeneration

    from tasks.contract import ModelError
    from tasks.models.families import check_weights

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    config = BlipConfig(
        text_config=small | {"num_attention_heads": 2, "vocab_size": 40},
        vision_config=small | {"num_attention_heads": 2, "image_size": 16, "patch_size": 8},
    )
    BlipForConditionalGeneration(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="no weights for its text_encoder"):
        check_weights(str(tmp_path), heads=False)
