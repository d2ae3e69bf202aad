"""The warm-up of the learning rate against transformers."""

from __future__ import annotations

import pytest
import torch
from transformers import get_linear_schedule_with_warmup

from tasks.schedules import learning_rate


def test_warmup_is_that_of_transformers() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=3.0)
    schedule = get_linear_schedule_with_warmup(optimizer, 3, 12)
    for step in range(12):
        assert learning_rate(3.0, 0.25, step, 12) == pytest.approx(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
