"""Stacks that fail are trained one by one."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import torch
from retrieval_trials import make_trial

from tasks.contract import Member, State
from tasks.stacks import train_stack


def test_failed_stack_frees_its_memory_before_members_are_trained_alone() -> None:
    kept: list[weakref.ref[torch.Tensor]] = []

    def train(stack: Sequence[Member]) -> list[int]:
        if len(stack) > 1:
            large = torch.zeros(1000)
            kept.append(weakref.ref(large))
            raise RuntimeError("out of memory")
        assert kept[0]() is None
        return [stack[0].trial.seed]

    stack = [Member(trial=make_trial(), state=State()) for _ in range(2)]
    assert train_stack(stack, train) == [3, 3]
