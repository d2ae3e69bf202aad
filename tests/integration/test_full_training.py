"""Training of whole models and of adapters compared with training of heads."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from retrieval_trials import make_model_trial

from tasks.contract import Member
from tasks.retrieval import training
from tasks.retrieval.task import TASK

EXTRA: dict[str, set[str]] = {"head": set(), "lora": {"lora"}, "full": {"backbone"}}


@pytest.mark.parametrize("kind", ["blip", "clip", "siglip", "siglip2", "pair"])
def test_training_encoders_reaches_a_lower_loss_than_heads(
    tiny: Callable[[str], str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.datasets import scenes

    monkeypatch.setattr(scenes, "SPLITS", {"train": 32, "val": 16, "test": 16})
    name = f"{tiny('vit')}+{tiny('bert')}" if kind == "pair" else tiny(kind)
    scores = {}
    for trainable in ("head", "lora", "full"):
        common = {"start": "random", "trainable": trainable, "lr": 1e-3, "epochs": 8}
        trial = make_model_trial(name, **common)
        inputs = {
            s: s.function(**s.args, **({"device": "cpu"} if s.on_device else {}))
            for s in TASK.stages(trial)
        }
        assert len(inputs) == (5 if trainable == "head" else 1)
        state = training.start(trial, inputs, "cpu")
        losses = []
        for epoch in range(1, 9):
            before = {k: v.clone() for k, v in state.arrays.items() if k.startswith("weight.")}
            (result,) = training.advance([Member(trial=trial, state=state)], inputs, "cpu")
            assert not isinstance(result, Exception), result
            state, step = result
            losses.append(step.metrics["loss"])
            assert step.at == epoch
        moved = {k.split(".")[1] for k, v in before.items() if not torch.equal(v, state.arrays[k])}
        assert moved == {"image", "text"} | EXTRA[trainable]
        scores[trainable] = losses
    assert scores["lora"][-1] < scores["head"][-1]
    assert scores["full"][-1] < scores["head"][-1]
