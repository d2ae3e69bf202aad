"""Values of two sweeps compared: what differs, by how much, and how much is equal."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from results.text import plural


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One line of the list."""

    where: str  # the configuration and seed
    what: str  # the metric, step or column
    first: str
    second: str
    gap: float = math.inf  # what a tolerance would have to be; infinite where it is no number
    is_column: bool = False  # of samples: many values in one line


@dataclass(kw_only=True)
class Differences:
    """What was compared so far.

    Numbers are equal if they differ by at most ``tolerance``, or by that share of the larger one.
    """

    tolerance: float
    found: list[Difference] = field(default_factory=list)
    num_cells: int = 0
    num_exact: int = 0  # cells that are equal to the last bit
    num_close: int = 0  # cells that are not, but within the tolerance

    def compare(self, where: str, what: str, one: Any, other: Any) -> None:
        """Two values; two that are missing are nothing to compare."""
        if one is None and other is None:
            return
        self.num_cells += 1
        numbers = isinstance(one, float) and isinstance(other, float)
        if one == other or (numbers and math.isnan(one) and math.isnan(other)):
            self.num_exact += 1
            return
        gap = math.inf
        if numbers and math.isfinite(one) and math.isfinite(other):
            gap = float(_gap(one, other))
        if gap <= self.tolerance:
            self.num_close += 1
            return
        self.found.append(
            Difference(where=where, what=what, first=_text(one), second=_text(other), gap=gap)
        )

    def compare_columns(self, where: str, what: str, ours: Any, theirs: Any) -> None:
        """Two columns [N] of one length; all values that differ are one line."""
        length = len(ours)
        equal, close, largest = _compare_arrays(ours, theirs, self.tolerance)
        self.num_cells += length
        self.num_exact += equal
        self.num_close += close
        different = length - equal - close
        if different:
            by = "" if largest is None else f", by at most {largest[0]:.3g}"
            self.found.append(
                Difference(
                    where=where,
                    what=what,
                    first=f"{different} of {length} differ{by}",
                    second="",
                    gap=math.inf if largest is None else largest[1],
                    is_column=True,
                )
            )

    def add(self, where: str, what: str, one: str, other: str) -> None:
        """A difference of things that are not numbers, such as a missing trial."""
        self.found.append(Difference(where=where, what=what, first=one, second=other))

    def largest_first(self) -> list[Difference]:
        """The differences: first what is no number, then numbers, at last columns of samples."""
        return sorted(self.found, key=lambda each: (each.is_column, -each.gap))

    def summary(self) -> str:
        """One sentence on how much is equal."""
        different = self.num_cells - self.num_exact - self.num_close
        return (
            f"Of {plural(self.num_cells, 'number')} and texts, {self.num_exact:,} are equal, "
            f"{self.num_close:,} are within {self.tolerance:g} (absolute or relative), and "
            f"{different:,} differ."
        )


def _gap(one: Any, other: Any) -> Any:
    """The smallest tolerance, absolute or relative, under which two numbers are equal."""
    return np.abs(one - other) / np.maximum(1.0, np.maximum(np.abs(one), np.abs(other)))


def _text(value: Any) -> str:
    if value is None:
        return "missing"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _compare_arrays(
    ours: Any, theirs: Any, tolerance: float
) -> tuple[int, int, tuple[float, float] | None]:
    """How many are equal, how many within the tolerance, and of others the largest difference.

    That is absolute, and as a gap; None if they are no finite numbers.
    """
    if not all(pa.types.is_floating(c.type) or pa.types.is_integer(c.type) for c in (ours, theirs)):
        pairs = zip(ours.to_pylist(), theirs.to_pylist(), strict=True)
        return sum(one == other for one, other in pairs), 0, None
    one, other = (c.cast(pa.float64()).to_numpy(zero_copy_only=False) for c in (ours, theirs))
    equal = (one == other) | (np.isnan(one) & np.isnan(other))
    finite = np.isfinite(one) & np.isfinite(other)
    gaps = np.full(len(one), np.inf)
    gaps[finite] = _gap(one[finite], other[finite])
    close = ~equal & (gaps <= tolerance)
    far = ~equal & ~close & finite
    if not far.any():
        return int(equal.sum()), int(close.sum()), None
    distances = np.abs(one[far] - other[far])
    return int(equal.sum()), int(close.sum()), (float(distances.max()), float(gaps[far].max()))
