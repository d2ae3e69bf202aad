"""Two ways to do the same work on one device, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two ways to do the same work."""

    name: str
    unit: str
    amount: int  # of units that one run works through
    ours: Callable[[], Any]
    plain: Callable[[], Any]


def seconds(run: Callable[[], Any], device: str) -> float:
    """Return the seconds of a run, until the device has finished."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    run()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def measure(comparison: Comparison, device: str, turns: int) -> str:
    """Run both sides in turns, and return a line with medians and ratios."""
    ours, plain = [], []
    for turn in range(turns + 1):
        times = seconds(comparison.ours, device), seconds(comparison.plain, device)
        if turn:  # the first one loads libraries
            ours.append(times[0])
            plain.append(times[1])
    ratios = sorted(theirs / own for own, theirs in zip(ours, plain, strict=True))
    own, theirs = (comparison.amount / statistics.median(each) for each in (ours, plain))
    return (
        f"{comparison.name}: {own:.0f} {comparison.unit}/s, plain {theirs:.0f}; "
        f"{statistics.median(ratios):.2f} x ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    )
