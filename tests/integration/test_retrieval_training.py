"""Training of heads: loss, stacks of members, saved states, samples."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from retrieval_trials import make_inputs, make_trial

from orchestrator.saving.checkpoints import decode, encode
from tasks.contract import Member, State, Step, Trial, TrialError
from tasks.retrieval import stacking, training
from tasks.retrieval.optimizer import MIN_TEMPERATURE


def test_clamped_temperature_can_rise_again() -> None:
    """A clamp inside the loss would leave the temperature without a gradient forever."""
    trial = make_trial(start="random", learn_temperature=True, temperature=0.005, epochs=4, lr=0.05)
    inputs = make_inputs(trial)
    state = training.start(trial, inputs, "cpu")
    found = []
    for _ in range(4):
        state, _ = advance_one(trial, state, inputs)
        found.append(float(state.arrays["weight.log_temperature"].exp()))
    assert min(found) >= MIN_TEMPERATURE - 1e-9
    assert found[-1] > 1.1 * MIN_TEMPERATURE  # random pairs want a higher one


def advance_one(trial: Trial, state: State, inputs: dict[Any, Any]) -> tuple[State, Step]:
    (result,) = training.advance([Member(trial=trial, state=state)], inputs, "cpu")
    assert not isinstance(result, Exception), result
    return result


def run(
    trials: list[Trial], inputs: dict[Any, Any], device: str = "cpu"
) -> list[list[Step] | Exception]:
    """Run all trials in one pack; returns the steps of each, or the exception of a failed one."""
    steps_of: dict[str, list[Step] | Exception] = {trial.id: [] for trial in trials}
    going = [Member(trial=t, state=training.start(t, inputs, device)) for t in trials]
    while going:
        results = training.advance(going, inputs, device)
        after = []
        for member, result in zip(going, results, strict=True):
            if isinstance(result, Exception):
                steps_of[member.trial.id] = result
                continue
            steps_of[member.trial.id].append(result[1])  # type: ignore[union-attr]
            if not result[1].done:
                after.append(Member(trial=member.trial, state=result[0]))
        going = after
    return list(steps_of.values())


def varied() -> list[Trial]:
    """Members that differ in everything that a stack allows, and two that do not fit into it."""
    rows: list[dict[str, object]] = [
        {"lr": 1e-2, "epochs": 3},
        {"lr": 1e-3, "epochs": 2, "weight_decay": 0.5},
        {"lr": 1e-2, "epochs": 3, "temperature": 0.7},
        {"lr": 3e-2, "epochs": 4, "start": "pretrained"},
        {"lr": 1e-2, "epochs": 3, "batch_size": 10},
        {"lr": 1e-2, "epochs": 3, "learn_temperature": True},
        {"lr": 1e-2, "epochs": 3, "loss": "sigmoid", "bias": -3.0},
        {"lr": 1e-3, "epochs": 2, "loss": "sigmoid", "bias": 2.0, "temperature": 0.5},
        {"lr": 1e-2, "epochs": 2, "pairs": "cycle"},
        {"lr": 1e-2, "epochs": 2, "pairs": "all"},
        {"lr": 1e-3, "epochs": 2, "pairs": "all", "temperature": 0.5},
        *(
            {"epochs": 3, "loss": "sigmoid", "bias": bias, "learn_bias": True}
            for bias in (-1.0, -5.0)
        ),
    ]
    trials = [make_trial(**({"start": "random"} | row)) for row in rows]
    return [*trials, dataclasses.replace(trials[0], seed=9)]


@pytest.mark.parametrize("stack_bytes", [1, 40_000, 10**9])
def test_stacked_training_matches_single_training(
    stack_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = varied()
    inputs = make_inputs(trials[3])
    monkeypatch.setattr(stacking, "STACK_BYTES", stack_bytes)
    members = [Member(trial=t, state=training.start(t, inputs, "cpu")) for t in trials]
    sizes = sorted(len(stack) for stack in stacking.make_stacks(members, "cpu"))
    assert (
        sizes == {1: [1] * 14, 40_000: [1, 1, 2, 2, 2, 6], 10**9: [1, 1, 2, 2, 2, 6]}[stack_bytes]
    )
    together = run(trials, inputs)
    for trial, steps in zip(trials, together, strict=True):
        (alone,) = run([trial], inputs)
        assert [s.metrics["loss"] for s in steps] == pytest.approx(  # type: ignore[union-attr]
            [s.metrics["loss"] for s in alone],  # type: ignore[union-attr]
            rel=1e-4,
        )
        ranks = [np.array(s[-1].samples["rank"]) for s in (steps, alone)]  # type: ignore[index]
        assert (ranks[0] != ranks[1]).mean() <= 0.02


def test_sigmoid_loss_learns_its_bias_and_has_no_bound_of_the_temperature() -> None:
    both = {"learn_bias": True, "learn_temperature": True}
    trial = make_trial(
        start="random", loss="sigmoid", bias=-2.0, temperature=0.005, epochs=1, lr=1e-4, **both
    )
    inputs = make_inputs(trial)
    state, _ = advance_one(trial, training.start(trial, inputs, "cpu"), inputs)
    assert float(state.arrays["weight.logit_bias"]) != -2.0
    assert float(state.arrays["weight.log_temperature"].exp()) < MIN_TEMPERATURE


def test_nan_in_one_member_leaves_the_others_unchanged() -> None:
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


def test_non_finite_embeddings_fail_the_trial() -> None:
    trial = make_trial(start="random", epochs=0)
    inputs = make_inputs(trial)
    state = training.start(trial, inputs, "cpu")
    state.arrays["weight.image.weight"][0, 0] = float("nan")
    (result,) = training.advance([Member(trial=trial, state=state)], inputs, "cpu")
    assert isinstance(result, TrialError)
    assert "not finite" in str(result)


def test_stack_out_of_memory_continues_with_single_members(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_saving_between_steps_changes_nothing(learn: bool) -> None:
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


@pytest.mark.parametrize("ties", ["expected", "strict", "same_text"])
def test_metrics_are_means_of_the_samples(ties: str) -> None:
    trial = make_trial(start="random", epochs=6, ties=ties)
    inputs = make_inputs(trial)
    for stage, value in inputs.items():
        if stage.function.__name__ == "encode_texts":  # two images share both captions
            inputs[stage] = value | {"row": value["row"] // 4 * 4}
    (steps,) = run([trial], inputs)
    step = steps[-1]  # type: ignore[index]
    names = ("direction", "rank", "hit1", "hit5", "hit10")
    samples = {k: np.array(step.samples[k]) for k in names}  # type: ignore[index]
    for direction in ("i2t", "t2i"):
        rows = samples["direction"] == direction
        for k in (1, 5, 10):
            assert samples[f"hit{k}"][rows].mean() == step.metrics[f"{direction}_r{k}"]
        assert samples["rank"][rows].mean() == step.metrics[f"{direction}_mean_rank"]
    assert (0.5 in samples["hit1"]) == (ties == "expected")
    assert set(samples["hit1"].tolist()) <= {0.0, 0.5, 1.0}
