"""Compute limits and ticks of an axis, for the terminal and for files."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

_PAD = 0.04  # of the range, above and below the data
_MANTISSAS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 2.0, 3.0, 5.0, 7.0))


def limits(
    values: Iterable[float], *, log: bool = False, top: float = math.inf
) -> tuple[float, float]:
    """Return the limits of an axis.

    If all values are at least 0, the axis does not go below 0. Equal values get space on both
    sides. If all values are 0, the axis is from 0 to 1.

    Args:
        values: the values to draw, positive if ``log``.
        log: whether the axis is logarithmic.
        top: the largest possible value, such as 100 for percentages.
    """
    values = list(values)
    low, high = min(values), max(values)
    if log:
        factor = (high / low) ** _PAD if high > low else 1.25
        return low / factor, high * factor
    pad = _PAD * (high - low) if high > low else 0.1 * abs(high)
    if low == high == 0:
        return 0.0, 1.0
    below, above = low - pad, high + pad
    return max(below, 0.0) if low >= 0 else below, min(above, top) if high <= top else above


def ticks(low: float, high: float, *, log: bool = False, max_ticks: int = 7) -> list[float]:
    """Return at most ``max_ticks`` round numbers between two limits."""
    if log:
        found = _log_ticks(low, high, max_ticks)
        if len(found) >= 3 or high > 30 * low:  # otherwise evenly spaced numbers are better
            return found
    step = _round_up((high - low) / max(max_ticks - 1, 1))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [_clean(number * step, step) for number in range(first, last + 1)]


def _round_up(rough: float) -> float:
    """Round up to 1, 2, 2.5 or 5 times a power of 10."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))


def _clean(value: float, step: float) -> float:
    """Round off floating-point errors: 0.3 instead of 0.30000000000000004."""
    return round(value, max(0, 2 - math.floor(math.log10(step))))


def _log_ticks(low: float, high: float, max_ticks: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))

    def inside(values: Iterable[float]) -> list[float]:
        return [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]

    found: list[float] = []
    for mantissas in _MANTISSAS:
        numbers = inside(float(f"{m:g}e{p}") for p in range(first, last + 1) for m in mantissas)
        if len(numbers) > max_ticks:
            break
        found = numbers
    if found:
        return found
    stride = math.ceil((last - first) / (max_ticks - 1))
    return inside(float(f"1e{p}") for p in range(first, last + 1) if p % stride == 0)


def step_ticks(steps: Iterable[float], room: int, max_ticks: int = 12) -> list[float]:
    """Return ticks for an axis of steps: the steps themselves if they are few.

    Args:
        steps: the steps with values.
        room: the length of the axis in characters.
        max_ticks: the number of steps above which round numbers are used.
    """
    known = sorted(set(steps))
    wide = max(len(text) for text in tick_texts([known[0], known[-1]])) + 2
    if len(known) > max_ticks:
        found = ticks(known[0], known[-1], max_ticks=max(2, min(max_ticks, room // wide)))
        return [value for value in found if value == int(value)] or [known[0], known[-1]]
    return keep_apart(known, wide / room)


def keep_apart(steps: Iterable[float], share: float = 1 / 16) -> list[float]:
    """Return steps, including the last, whose distance is at least this fraction of the axis."""
    known = sorted(steps)
    kept: list[float] = []
    for x in reversed(known):
        if not kept or kept[-1] - x >= (known[-1] - known[0]) * share:
            kept.append(x)
    return kept[::-1]


def tick_texts(values: Sequence[float]) -> list[str]:
    """Format ticks with the decimals that they need: ``0.5``, ``1,500``, ``2e-5``."""
    return [_text(value) for value in values]


def _text(value: float) -> str:
    size = abs(value)
    if size and (size < 1e-3 or size >= 1e7):
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    text = f"{value:,.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
