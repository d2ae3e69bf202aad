"""A summary table as data: its rows, its columns and the lines below it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from results.statistics import Estimate
from tasks.contract import Column, Scalar

ID_DIGITS = 8  # of a trial's id, in a table


@dataclass(kw_only=True)
class SummaryRow:
    """One configuration."""

    params: Mapping[str, Scalar]
    metrics: dict[str, float]  # means over seeds, by column key
    estimate: Estimate | None = None  # of the main metric
    deviation: float | None = None  # of the main metric over seeds
    reported: list[float] = field(default_factory=list)  # the paper's numbers, one a merged row
    other_reported: dict[str, float] = field(default_factory=dict)
    other_published: dict[str, float] = field(default_factory=dict)
    label: str = ""  # a remark of the search space, such as that the row is not the paper's
    mark: str = ""  # "best", "tie", "untested", or nothing: significantly worse, or a status
    p_value: float | None = None  # against the best, adjusted for all rows; none if not tested
    on_front: bool = False  # no other row is better in both metrics of the task's front
    trial_ids: list[str] = field(default_factory=list)  # of the seeds that finished
    all_ids: list[str] = field(default_factory=list)  # of every seed that has a trial
    status: str = ""  # what is missing, in a word: pruned@1; empty if all seeds finished
    reason: str = ""  # of a failure
    num_seeds: int = 0
    num_units: int = 0  # queries or images behind the estimate


@dataclass(kw_only=True)
class SummaryTable:
    """One table: headings by column key, rows in order, lines of explanation."""

    title: str
    params: list[Column]  # the columns shown of parameters
    metrics: list[Column]  # the columns of other metrics, after the main one
    main: Column
    has_report: bool
    rows: list[SummaryRow]
    caption: list[str]
    num_hidden: int = 0  # further rows, which are left out
    id_digits: int = ID_DIGITS  # of a trial's id, as many as tell the sweep's trials apart
