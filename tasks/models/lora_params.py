"""The parameters of LoRA that tasks share. Without torch."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any, TypeVar

from tasks.validation import check_rule

#: The defaults with ``trainable=lora``; other trials have None.
LORA: dict[str, Any] = {"lora_rank": 8, "lora_alpha": 16.0, "lora_targets": "all-linear"}
Params = TypeVar("Params")


def check_lora(params: Any) -> None:
    """Check the values of the parameters of LoRA.

    Raises:
        ValueError: if one breaks a rule.
    """
    rank, alpha, targets = (getattr(params, name) for name in LORA)
    check_rule("lora_rank >= 1", rank is None or rank >= 1, f"lora_rank={rank}")
    holds = alpha is None or (alpha > 0 and math.isfinite(alpha))
    check_rule("lora_alpha > 0", holds, f"lora_alpha={alpha}")
    try:
        re.compile(targets or "")
    except re.error as error:
        raise ValueError(
            f"lora_targets must be all-linear or a regular expression, but got {targets!r}: {error}"
        ) from None


def resolve_lora(params: Params) -> Params:
    """Return the parameters with the defaults of LoRA, or without any if ``trainable`` is not."""
    values: dict[str, Any] = dict.fromkeys(LORA)
    if params.trainable == "lora":  # type: ignore[attr-defined]
        given = {name: getattr(params, name) for name in LORA}
        values = {name: LORA[name] if given[name] is None else given[name] for name in LORA}
    return dataclasses.replace(params, **values)  # type: ignore[type-var]


def lora_scale(params: Any) -> float:
    """Return the factor of the adapters' output."""
    return float(params.lora_alpha / params.lora_rank)
