"""The types a search space is written in. Plain Python.

A space file offers any of

    REPORT = (Table(...), ...)          rows spelled out, each with the number the report gives
    GRID = {"lr": [1e-5, 1e-3], ...}    the full product; a tuple of such dicts is their union
    def search(trial): ...              an Optuna define-by-run space that returns {name: value};
                                        its suggestions are named as the parameters are

See docs/spaces.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Scalar = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of a report's table: parameters that differ from the task's defaults."""

    params: Mapping[str, Scalar]
    report: Mapping[str, float] = field(default_factory=dict)  # "metric.i2t_r1" -> its number
    published: Mapping[str, float] = field(default_factory=dict)  # likewise, by the table's source
    label: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table of the report."""

    title: str
    rows: tuple[Row, ...]
    note: str = ""
    source: str = ""  # of the rows' published numbers: one line
