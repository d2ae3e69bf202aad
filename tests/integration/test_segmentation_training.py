"""Stacks of heads train as each head does alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from segmentation_trials import compute_stages, make_trial
from tiny_models import save_tiny

from tasks.contract import Inputs, Member, State, TrialError
from tasks.segmentation import training
from tasks.segmentation.task import TASK

OPTIMIZERS: tuple[dict[str, Any], ...] = (
    {"lr": 3e-3},
    {"lr": 1e-3, "weight_decay": 0.5},
    {"lr": 1e-3, "loss": "dice"},
)
#: A tiny network whose feature maps are channels-last in memory, and one whose maps are not.
MODELS = ("resnet", "vit")


def train_together(members: list[Member], inputs: Inputs) -> list[tuple[State, float]]:
    results = []
    for result in training.train_epoch(members, inputs, "cpu"):
        assert not isinstance(result, TrialError)
        results.append(result)
    return results


def in_float64(state: State) -> State:
    """In float32, AdamW turns the rounding of a gradient near zero into a step of size lr."""
    arrays = {name: value.double() for name, value in state.arrays.items()}
    return State(arrays=arrays, values=state.values)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("head", ["linear", "upernet"])
@pytest.mark.parametrize("seeds", [(0, 0, 0), (0, 1, 2)], ids=["one batch", "own batches"])
def test_mixed_stack_trains_like_each_member_alone(
    model: str, head: str, seeds: tuple[int, ...], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    path = str(save_tiny(model, tmp_path / "model"))
    # With 8 channels, a group has one, so that normalization cancels the bias: no gradient.
    more: dict[str, Any] = {"trainable": "head", "head": head, "head_width": 16}
    more["augment"] = seeds == (0, 1, 2)
    trials = [
        make_trial(path, tmp_path / "data", seed=seed, **more | optimizer)
        for seed, optimizer in zip(seeds, OPTIMIZERS, strict=True)
    ]
    inputs = compute_stages(trials)
    members = [
        Member(trial=trial, state=in_float64(TASK.start(trial, inputs, "cpu"))) for trial in trials
    ]
    assert [len(stack) for stack in training.make_stacks(members)] == [3]
    alone = members
    for _ in range(2):
        together = train_together(members, inputs)
        separate = [train_together([member], inputs)[0] for member in alone]
        for (state, loss), (expected, expected_loss) in zip(together, separate, strict=True):
            assert loss == pytest.approx(expected_loss, rel=1e-8)
            for name, value in expected.arrays.items():
                torch.testing.assert_close(state.arrays[name], value, rtol=1e-6, atol=1e-8)
        members = [Member(trial=t, state=s) for t, (s, _) in zip(trials, together, strict=True)]
        alone = [Member(trial=t, state=s) for t, (s, _) in zip(trials, separate, strict=True)]
    first, *others = [member.state.arrays for member in members]
    for other in others:  # the members differ, so equality above says something
        assert any(not torch.equal(first[name], other[name]) for name in first)


def test_members_of_other_images_or_full_training_are_not_stacked(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = str(save_tiny("vit", tmp_path / "model"))
    varied: list[dict[str, Any]] = [{}, {"lr": 1e-2}, {"num_images": 4}]
    trials = [make_trial(path, tmp_path / "data", trainable="head", **each) for each in varied]
    trials += [make_trial(path, tmp_path / "data", trainable="full", lr=lr) for lr in (1e-3, 1e-2)]
    inputs = compute_stages(trials)
    members = [Member(trial=trial, state=TASK.start(trial, inputs, "cpu")) for trial in trials]
    assert [len(stack) for stack in training.make_stacks(members)] == [2, 1, 1, 1]
