"""The types of search spaces, in plain Python.

A space file defines one or more of

    REPORT = (Table(...), ...)          the rows of a paper's tables, with their published numbers
    GRID = {"lr": [1e-5, 1e-3], ...}    the full product; a tuple of such dicts is their union
    def search(trial): ...              an Optuna define-by-run space that returns {name: value};
                                        suggestions must have the names of the parameters
    METRICS = ("accuracy", "seconds:minimize")   the metrics that ``search`` optimizes together

In addition to a REPORT, it may state the conclusions of the paper, which `report` and `check` test:

    CLAIMS = (Claim("finetuning beats a random head", FINETUNED, ">", RANDOM_HEAD), ...)
    PUBLISHED = Published(...)          the source of the published numbers, and their noise
    ERRATA = (Erratum(...), ...)        known mistakes of the paper

If a file defines several spaces, choose one with ``--space FILE.py:report``, ``:grid`` or
``:search``. See docs/how-to/search-spaces.md and docs/how-to/check-claims.md.
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
    """The paper's values: ``metric.<name>`` for the last step, ``step.<at>.<name>`` for another
    step, ``first.<level>.<name>`` for the first step that reaches a level. Rates are 0 to 1."""
    published: Mapping[str, float] = field(default_factory=dict)
    """The values of the table's ``source``, another publication, with the same keys."""
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
    """The source of the rows' ``published`` values, in one line."""


Relation = Literal[">", "<", ">=", "<=", "=="]


@dataclass(frozen=True, slots=True)
class Value:
    """A metric of a row, for claims about other metrics than the task's main metric."""

    row: Row | str
    """The row, or its label."""
    metric: str
    """The metric's name without ``metric.``, such as "unseen_accuracy"."""


Side = Row | str | Value | float  # a row, its label, one of its metrics, or a plain number


@dataclass(frozen=True, slots=True)
class Claim:
    """A conclusion of the paper: ``left relation right``.

    ``>`` and ``<`` claim any difference. ``>=`` ("reaches"), ``<=`` and ``==`` ("equals") need a
    ``margin``, a difference that is too small to matter, because no data can prove an exact
    equality.

    Examples:
        >>> low, high = Row(params={"lr": 1e-5}), Row(params={"lr": 1e-2})
        >>> claim = Claim("a large learning rate does harm", high, "<", low)
    """

    text: str
    """The claim in words."""
    left: Side
    """A row, its label, one of its metrics, or a number."""
    relation: Relation
    """The claimed relation of left and right."""
    right: Side
    """A row, its label, one of its metrics, or a number."""
    margin: float = 0.0
    """In the unit of the metric: 0 to 1 for recalls and accuracies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """The source of a paper's numbers, and their noise.

    Every pair of rows of one table whose published numbers differ by more than the noise becomes a
    claim.
    """

    model: str
    """The paper's model."""
    data: str
    """The paper's data."""
    paper: str = ""
    """The paper's title or kind, and the section with the values."""
    num_units: int | None = None
    """Number of queries or images, if the values are fractions of them."""
    standard_error: float | None = None
    """Standard error of the values, if they are not fractions, such as BLEU."""
    noise: str = ""
    """The origin of ``num_units`` or ``standard_error``, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Erratum:
    """A mistake of the paper, with evidence in the published numbers."""

    text: str
    """The mistake in words."""
    best: Row | str | None = None
    """Evidence: the row that the paper's text calls the best, although it is not."""
    repeated: Row | str | None = None
    """Evidence: a configuration that has several rows."""
    shares_of: int | None = None
    """Evidence: the values are multiples of one over this number of units."""
