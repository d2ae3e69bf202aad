"""Learning rates by step."""

from __future__ import annotations


def learning_rate(
    lr: float, warmup_ratio: float | None, step: int, num_steps: int, power: float = 1.0
) -> float:
    """Return the learning rate of a step, which starts at 0.

    It rises linearly from 0 to ``lr`` over the share ``warmup_ratio`` of the steps. Then it falls
    to 0 as (1 - step / steps) ** ``power``: linearly by default, as with transformers'
    ``get_linear_schedule_with_warmup``.
    """
    rising = round((warmup_ratio or 0) * num_steps)
    if step < rising:
        return lr * step / rising
    return float(lr * (1 - (step - rising) / (num_steps - rising)) ** power)
