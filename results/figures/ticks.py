"""Limits and ticks of an axis as plain numbers, the same in the terminal and in a file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

_PAD = 0.04  # of the range, above and below the data
_MANTISSAS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 2.0, 3.0, 5.0, 7.0))


def limits(
    values: Iterable[float], *, log: bool = False, top: float = math.inf
) -> tuple[float, float]:
    """Where an axis over these values begins and ends.

    Values that are all at least 0 give an axis that does not go below 0; equal values get room on
    both sides, and values that are all 0 an axis from 0 to 1.

    Args:
        values: what is drawn; positive where ``log`` is set.
        log: whether the axis is logarithmic.
        top: the largest value there can be, such as 100 of a percentage.
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


def ticks(low: float, high: float, *, log: bool = False, most: int = 7) -> list[float]:
    """Round numbers between two limits, at most so many."""
    if log:
        found = _log_ticks(low, high, most)
        if len(found) >= 3 or high > 30 * low:  # otherwise evenly spaced numbers say more
            return found
    step = _round_up((high - low) / max(most - 1, 1))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [_clean(number * step, step) for number in range(first, last + 1)]


def _round_up(rough: float) -> float:
    """The next larger of 1, 2, 2.5, 5 times a power of 10."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))


def _clean(value: float, step: float) -> float:
    """Without the last bits that a multiplication adds: 0.3, not 0.30000000000000004."""
    return round(value, max(0, 2 - math.floor(math.log10(step))))


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))

    def inside(values: Iterable[float]) -> list[float]:
        return [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]

    found: list[float] = []
    for mantissas in _MANTISSAS:
        numbers = inside(float(f"{m:g}e{p}") for p in range(first, last + 1) for m in mantissas)
        if len(numbers) > most:
            break
        found = numbers
    if found:
        return found
    stride = math.ceil((last - first) / (most - 1))
    return inside(float(f"1e{p}") for p in range(first, last + 1) if p % stride == 0)


def step_ticks(steps: Iterable[float], room: int, most: int = 12) -> list[float]:
    """Ticks for an axis of steps: the steps themselves where they are few.

    Args:
        steps: where there is something to see.
        room: characters that fit along the axis.
        most: ticks beyond which round numbers are better.
    """
    known = sorted(set(steps))
    wide = max(len(text) for text in tick_texts([known[0], known[-1]])) + 2
    if len(known) > most:
        found = ticks(known[0], known[-1], most=max(2, min(most, room // wide)))
        return [value for value in found if value == int(value)] or [known[0], known[-1]]
    return apart(known, wide / room)


def apart(steps: Iterable[float], share: float = 1 / 16) -> list[float]:
    """Those steps that are at least this share of the axis apart, the last one in any case."""
    known = sorted(steps)
    kept: list[float] = []
    for x in reversed(known):
        if not kept or kept[-1] - x >= (known[-1] - known[0]) * share:
            kept.append(x)
    return kept[::-1]


def tick_texts(values: Sequence[float]) -> list[str]:
    """The ticks as text, with as many decimals as they need: ``0.5``, ``1,500``, ``2e-5``."""
    return [_text(value) for value in values]


def _text(value: float) -> str:
    size = abs(value)
    if size and (size < 1e-3 or size >= 1e7):
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    text = f"{value:,.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
