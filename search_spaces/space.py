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
docs/how-to/search-spaces.md and docs/how-to/check-claims.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tasks.contract import Scalar as Scalar


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of a paper's table: parameters that differ from the task's defaults.

    Examples:
        >>> row = Row(params={"lr": 1e-5, "epochs": 3}, report={"metric.i2t_r1": 0.5838})
    """

    params: Mapping[str, Scalar]
    """The parameters that differ from the task's defaults, by name."""
    report: Mapping[str, float] = field(default_factory=dict)
    """The paper's values: ``metric.<name>`` for the last step, ``step.<at>.<name>`` for another,
    ``first.<level>.<name>`` for the first step that reaches a level. Rates are 0 to 1."""
    published: Mapping[str, float] = field(default_factory=dict)
    """The same from the table's ``source``, another publication."""
    label: str | None = None
    """A remark that the table prints with the row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table of the paper.

    Examples:
        >>> rows = Row(params={"lr": 1e-5}), Row(params={"lr": 1e-3})
        >>> table = Table(title="Table 1", rows=rows)
    """

    title: str
    """The heading."""
    rows: tuple[Row, ...]
    """The rows, in order."""
    note: str = ""
    """A line below the table."""
    source: str = ""
    """Where the rows' ``published`` values come from, in one line."""


Relation = Literal[">", "<", ">=", "<=", "=="]


@dataclass(frozen=True, slots=True)
class Value:
    """A metric of a row, for a claim that is not about the task's main metric."""

    row: Row | str
    """The row, or its label."""
    metric: str
    """The metric's name without ``metric.``, such as "unseen_accuracy"."""


Side = Row | str | Value | float  # a row, its label, one of its metrics, or a plain number


@dataclass(frozen=True, slots=True)
class Claim:
    """What a paper concludes from its numbers: ``left relation right``.

    ``>`` and ``<`` are about any difference. ``>=`` ("reaches"), ``<=`` and ``==`` ("equals") need
    a ``margin``, a difference that is too small to matter: no sample can show an exact equality.

    Examples:
        >>> low, high = Row(params={"lr": 1e-5}), Row(params={"lr": 1e-2})
        >>> claim = Claim("a large learning rate does harm", high, "<", low)
    """

    text: str
    """The claim in words."""
    left: Side
    """A row, its label, one of its metrics, or a number."""
    relation: Relation
    """What is claimed of left and right."""
    right: Side
    """The same as ``left``."""
    margin: float = 0.0
    """In the metric's own unit: 0 to 1 for recalls and accuracies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """Where a paper's numbers come from, and how far chance moves them.

    Every pair of rows of one table whose published numbers differ by more than that is a claim.
    """

    model: str
    """The paper's model."""
    data: str
    """The paper's data."""
    paper: str = ""
    """Its title or kind, and where in it the values are."""
    num_units: int | None = None
    """Number of queries or images, for a value that is a share of them."""
    standard_error: float | None = None
    """Standard error of a value that is not a share, such as BLEU."""
    noise: str = ""
    """How ``num_units`` or ``standard_error`` is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Erratum:
    """A mistake of the paper, with what shows it in the published numbers."""

    text: str
    """The mistake in words."""
    best: Row | str | None = None
    """The row that the paper's text calls best."""
    repeated: Row | str | None = None
    """A configuration with several rows."""
    shares_of: int | None = None
    """The values are whole shares of this number of units."""
