"""Learning rates by step."""

from __future__ import annotations


def learning_rate(
    lr: float, warmup: float | None, step: int, num_steps: int, power: float = 1.0
) -> float:
    """Return the learning rate of a step, which starts at 0.

    It rises linearly from 0 to ``lr`` over the share ``warmup`` of the steps. Then it falls to 0 as
    (1 - step / steps) ** ``power``, linearly by default, as ``get_linear_schedule_with_warmup`` of
    transformers.
    """
    rising = round((warmup or 0) * num_steps)
    if step < rising:
        return lr * step / rising
    return float(lr * (1 - (step - rising) / (num_steps - rising)) ** power)
