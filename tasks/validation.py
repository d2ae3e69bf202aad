"""Rules that a task's parameters must satisfy."""

from __future__ import annotations

from collections.abc import Sequence


def check_rule(rule: str, holds: bool, got: str) -> None:
    """Refuse parameters that break a rule.

    Args:
        rule: the rule, as in ``"lr > 0"``.
        holds: whether the parameters satisfy it.
        got: the values that it is about, as in ``"lr=-1"``.

    Raises:
        ValueError: with the rule and the values, if it does not hold.
    """
    if not holds:
        raise ValueError(f"`{rule}` must hold, but got {got}")


def check_choice(name: str, value: str, options: Sequence[str]) -> None:
    """Refuse a parameter that is none of its options.

    Raises:
        ValueError: with the options and the value.
    """
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}, but got {value!r}")
