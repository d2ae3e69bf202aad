"""The types a search space is written in. Plain Python.

A space file defines one or more of

    REPORT = (Table(...), ...)          rows spelled out, each with the number the paper gives
    GRID = {"lr": [1e-5, 1e-3], ...}    the full product; a tuple of such dicts is their union
    def search(trial): ...              an Optuna define-by-run space that returns {name: value};
                                        its suggestions are named as the parameters are

Beside a REPORT it may state what the paper concludes, which `report` and `check` then test:

    CLAIMS = (Claim("finetuning beats a random head", FINETUNED, ">", RANDOM_HEAD), ...)
    PUBLISHED = Published(...)          where the numbers come from, and how far chance moves them
    ERRATA = (Erratum(...), ...)        known mistakes of the paper

Of a file that defines several, ``--space FILE.py:report``, ``:grid`` or ``:search`` takes one. See
docs/spaces.md and docs/claims.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tasks.contract import Scalar as Scalar


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of a paper's table: parameters that differ from the task's defaults."""

    params: Mapping[str, Scalar]
    report: Mapping[str, float] = field(default_factory=dict)  # "metric.i2t_r1" -> its number
    published: Mapping[str, float] = field(default_factory=dict)  # likewise, by the table's source
    label: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table of the paper."""

    title: str
    rows: tuple[Row, ...]
    note: str = ""
    source: str = ""  # of the rows' published numbers: one line


Relation = Literal[">", "<", ">=", "<=", "=="]


@dataclass(frozen=True, slots=True)
class Value:
    """A metric of a row, for a claim that is not about the task's main metric."""

    row: Row | str
    metric: str  # "unseen_accuracy", as in the results under metric.<name>


Side = Row | str | Value | float  # a row, its label, one of its metrics, or a plain number


@dataclass(frozen=True, slots=True)
class Claim:
    """What a paper concludes from its numbers: ``left relation right``.

    ``>`` and ``<`` are about any difference. ``>=`` ("reaches"), ``<=`` and ``==`` ("equals") need
    a ``margin``, a difference that is too small to matter: no sample can show an exact equality.
    """

    text: str
    left: Side
    relation: Relation
    right: Side
    margin: float = 0.0  # in the metric's own unit: 0..1 for recalls and accuracies


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """Where a paper's numbers come from, and how far chance moves them.

    Every pair of rows of one table whose published numbers differ by more than that is a claim.
    """

    model: str
    data: str
    paper: str = ""  # its title or kind, and where in it the numbers are
    num_units: int | None = None  # queries or images behind a number that is a share of them
    standard_error: float | None = None  # of one number that is no share, such as BLEU
    noise: str = ""  # how ``num_units`` or ``standard_error`` is known


@dataclass(frozen=True, kw_only=True, slots=True)
class Erratum:
    """A mistake of the paper, with what shows it in the published numbers."""

    text: str
    best: Row | str | None = None  # the row that the paper's text names best
    repeated: Row | str | None = None  # a configuration with several rows
    shares_of: int | None = None  # the numbers are whole shares of so many units
