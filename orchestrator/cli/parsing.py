"""Converts the text of an option to its value."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from orchestrator.planning import discovery
from tasks.contract import RequestError

if TYPE_CHECKING:
    from orchestrator.execution.placement import Gpus


def parse_seeds(text: str | int) -> int | tuple[int, ...]:
    """Return ``3`` as a number of seeds, ``1,2`` and ``7,`` as a tuple of seeds."""
    listed = [part.strip() for part in str(text).removesuffix(",").split(",")]
    try:
        seeds = tuple(int(part) for part in listed)
    except ValueError:
        raise typer.BadParameter(
            f"it takes a number such as 3 or a list such as 1,2, but got {text!r}"
        ) from None
    return seeds if "," in str(text) else seeds[0]


def parse_budget(text: str | None) -> tuple[float | None, int | None]:
    """Return (seconds, number of trials): ``30m`` gives the first, ``20trials`` the second."""
    match = re.fullmatch(r"\s*(\d+)\s*trials?\s*", text or "")
    if match is None:
        return parse_duration("--budget", text, " or a number such as 20trials"), None
    if int(match[1]) == 0:
        raise RequestError(f"--budget must be at least 1 trial, but is {text!r}")
    return None, int(match[1])


def parse_gpus(text: str) -> Gpus:
    """Return ``--gpus-per-trial`` as a number or "auto"."""
    if text.strip() == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        raise RequestError(f"--gpus-per-trial takes a number or auto, but got {text!r}") from None


def parse_duration(option: str, text: str | None, others: str = "") -> float | None:
    """Return ``90s``, ``30m``, ``2h`` or ``30d`` in seconds."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if match is None or float(match[1]) == 0:
        raise RequestError(
            f"{option} takes a time such as 90s, 30m, 2h or 30d{others}, but got {text!r}"
        )
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def parse_checkpoint_interval(text: str | None) -> float:
    """Return ``--checkpoint-interval`` in seconds; 0 saves every step."""
    from orchestrator.saving.checkpoint_writer import DEFAULT_INTERVAL

    if text is not None and re.fullmatch(r"0+s?", text.strip()):
        return 0.0
    seconds = parse_duration("--checkpoint-interval", text)
    return DEFAULT_INTERVAL if seconds is None else seconds


def parse_size(option: str, text: str | None) -> int | None:
    """Return ``500MB``, ``1GB`` or ``2GiB`` in bytes."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", text.strip().lower())
    if match is None:
        raise RequestError(f"{option} takes a size such as 500MB or 1GB, but got {text!r}")
    base = 1024 if match[3] else 1000
    return int(float(match[1]) * base ** " kmgt".index(match[2] or " "))


def parse_step_timeout(text: str | None, deadline: str | None) -> float | None:
    """Return ``--step-timeout``, or its earlier name ``--deadline``, in seconds."""
    if text is not None and deadline is not None:
        raise RequestError("--deadline is the earlier name of --step-timeout; remove --deadline")
    if deadline is not None:
        return parse_duration("--deadline", deadline)
    return parse_duration("--step-timeout", text)


def parse_zip(groups: Sequence[str] | None) -> tuple[tuple[str, ...], ...]:
    """``lr,epochs`` as the names of parameters that vary together."""
    return tuple(
        tuple(name.strip() for name in group.split(",") if name.strip()) for group in groups or ()
    )


def check_tasks(names: Sequence[str]) -> None:
    """Refuse a space or a setting in place of a task, and name the option for it."""
    from orchestrator.planning.spaces import ALIASES, KINDS

    for name in names:
        is_space = name in (*KINDS, *ALIASES) or name.endswith(".py")
        if not (is_space or re.match(r"\w+=", name)) or name in discovery.task_names():
            continue
        if is_space:
            also = f", or {name}:FUNCTION to sweep a function of it" if name[-3:] == ".py" else ""
            raise RequestError(f"{name!r} is a space: write --space {shlex.quote(name)}{also}")
        raise RequestError(f"{name!r} is a setting: write --set {shlex.quote(name)}")


def check_tolerance(tolerance: float | None) -> None:
    """Refuse a ``--tolerance`` outside of 0 to 1."""
    if tolerance is not None and not 0 <= tolerance < 1:
        raise RequestError(f"--tolerance must be at least 0 and below 1, but is {tolerance:g}")
