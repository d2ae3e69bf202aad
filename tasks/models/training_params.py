"""The parameters of training encoders that tasks share. Without torch."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from tasks.validation import check_rule

#: None by default, as for trials from before them.
TRAINING = ("warmup_ratio", "layer_decay", "gradient_checkpointing")
Params = TypeVar("Params")


def check_training(params: Any) -> None:
    """Check the values of these parameters.

    Raises:
        ValueError: if one breaks a rule.
    """
    ratio, factor = params.warmup_ratio, params.layer_decay
    holds = ratio is None or 0 <= ratio < 1
    check_rule("0 <= warmup_ratio < 1", holds, f"warmup_ratio={ratio}")
    holds = factor is None or 0 < factor <= 1
    check_rule("0 < layer_decay <= 1", holds, f"layer_decay={factor}")


def resolve_training(params: Params) -> Params:
    """Return the same training with None for options without effect, so that ids are equal."""
    given: Any = params
    has_decay = given.trainable == "full" and given.layer_decay != 1
    recomputes = given.trainable != "head" and given.gradient_checkpointing
    values = {
        "warmup_ratio": given.warmup_ratio or None,
        "layer_decay": given.layer_decay if has_decay else None,
        "gradient_checkpointing": recomputes or None,
    }
    return dataclasses.replace(params, **values)  # type: ignore[type-var]
