"""Checks of a task's parameters."""

from __future__ import annotations

from collections.abc import Sequence


def check_rule(rule: str, holds: bool, got: str) -> None:
    """Raise an error if parameters break a rule.

    Args:
        rule: the rule, such as ``"lr > 0"``.
        holds: whether the parameters satisfy the rule.
        got: the parameters in question, such as ``"lr=-1"``.

    Raises:
        ValueError: if the rule does not hold; the message names the rule and the values.
    """
    if not holds:
        raise ValueError(f"`{rule}` must hold, but got {got}")


def check_choice(name: str, value: str, options: Sequence[str]) -> None:
    """Raise an error if a parameter is not one of its options.

    Raises:
        ValueError: the message names the options and the value.
    """
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}, but got {value!r}")
