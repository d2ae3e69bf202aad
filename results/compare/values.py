"""Compare values of two sweeps, and record the differences."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from results.text import plural


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One difference."""

    where: str  # the configuration and seed
    what: str  # the metric, step or column
    first: str
    second: str
    gap: float = math.inf  # the tolerance at which the values are equal; infinite for non-numbers
    is_column: bool = False  # whether it stands for many values of a column of samples


@dataclass(kw_only=True)
class Differences:
    """The differences that were found, and counts of the compared values.

    Numbers are equal if their absolute or relative difference is at most ``tolerance``.
    """

    tolerance: float
    found: list[Difference] = field(default_factory=list)
    num_cells: int = 0
    num_exact: int = 0  # cells that are exactly equal
    num_close: int = 0  # cells that differ within the tolerance

    def compare(self, where: str, what: str, one: Any, other: Any) -> None:
        """Compare two values, unless both are missing."""
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
        """Compare two columns [N]; all differing values become one difference."""
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
        """Add a difference that is not between numbers, such as a missing trial."""
        self.found.append(Difference(where=where, what=what, first=one, second=other))

    def largest_first(self) -> list[Difference]:
        """Sort the differences: first non-numbers, then numbers, then columns of samples."""
        return sorted(self.found, key=lambda each: (each.is_column, -each.gap))

    def summary(self) -> str:
        """Return a sentence with the counts of equal and differing values."""
        different = self.num_cells - self.num_exact - self.num_close
        return (
            f"Of {plural(self.num_cells, 'value')}, {self.num_exact:,} are equal, "
            f"{self.num_close:,} are within the tolerance of {self.tolerance:g} (absolute or "
            f"relative), and {different:,} differ."
        )


def _gap(one: Any, other: Any) -> Any:
    """Return the smallest tolerance, absolute or relative, at which two numbers are equal."""
    return np.abs(one - other) / np.maximum(1.0, np.maximum(np.abs(one), np.abs(other)))


def _text(value: Any) -> str:
    if value is None:
        return "missing"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _compare_arrays(
    ours: Any, theirs: Any, tolerance: float
) -> tuple[int, int, tuple[float, float] | None]:
    """Return the number of equal and of close values, and the largest difference of the others.

    The difference is absolute, and as a gap; it is None if the values are not finite numbers.
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
