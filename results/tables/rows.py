"""The data of a summary table: rows, columns and caption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from results.statistics import Estimate
from tasks.contract import Column, Scalar

ID_DIGITS = 8  # number of digits of a trial's id in tables


@dataclass(kw_only=True)
class SummaryRow:
    """One configuration."""

    params: Mapping[str, Scalar]
    metrics: dict[str, float]  # means over seeds, by column key
    estimate: Estimate | None = None  # of the main metric
    deviation: float | None = None  # standard deviation of the main metric over seeds
    reported: list[float] = field(default_factory=list)  # the paper's numbers for the main metric
    other_reported: dict[str, float] = field(default_factory=dict)
    other_published: dict[str, float] = field(default_factory=dict)
    label: str = ""  # a remark of the search space, such as that the row is not from the paper
    mark: str = ""  # "best", "tie", "untested", or "" (significantly worse, or not finished)
    p_value: float | None = None  # against the best, adjusted for all rows; None if not tested
    on_front: bool = False  # whether the row is on the Pareto front
    trial_ids: list[str] = field(default_factory=list)  # of finished seeds
    all_ids: list[str] = field(default_factory=list)  # of all seeds that have a trial
    status: str = ""  # such as pruned@1; empty if all seeds finished
    reason: str = ""  # of a failure
    num_seeds: int = 0  # number of finished seeds
    num_units: int = 0  # number of queries or images of the estimate


@dataclass(kw_only=True)
class SummaryTable:
    """One table: columns, rows in order, and a caption that explains them."""

    title: str
    params: list[Column]  # the columns of parameters
    metrics: list[Column]  # the columns of metrics other than the main one
    main: Column
    has_report: bool  # whether the table has published numbers
    rows: list[SummaryRow]
    caption: list[str]
    num_hidden: int = 0  # number of rows that are not shown
    id_digits: int = ID_DIGITS  # number of digits that make the ids of the sweep's trials unique
    chosen: list[str] | None = None  # the parameters and metrics of --columns; None for all
