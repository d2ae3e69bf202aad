"""What a task declares about its results: columns, metrics and their samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of the summary table.

    A metric that is not a mean over samples can have its own 95 % interval: if the columns also
    include its key with ``_low`` and with ``_high`` (as ``detail``), its cell shows them.
    """

    key: str  # "param.lr" or "metric.i2t_r1", as in the Parquet table
    label: str  # the heading
    format: Literal["percent", "score", "number", "scientific", "integer", "text"] = "text"
    # percent: 0..1, printed times 100; score: 0..100, printed as it is, both with two decimals;
    # number: four significant digits
    pick: Literal["last", "best"] = "last"  # of a metric: the last step's value, or the best step's
    detail: bool = False  # only beside a number of the paper, not in the summary table
    chart: str = ""  # of a metric: the chart over steps that it is a line of; none for ""
    log: bool = False  # whether that chart's axis is logarithmic


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """The number that a sweep is judged by."""

    name: str  # "i2t_r1", in the results as metric.i2t_r1
    label: str
    direction: Literal["maximize", "minimize"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PerSampleMetric:
    """How ``Step.samples`` give a metric unit by unit, for intervals and paired tests.

    The metric is the mean over units (queries, images) of ``value``, or of ``value <= at_most`` if
    that is given, over the rows that have the values in ``where``, by column.

    A metric that is not a mean, such as corpus BLEU or IoU, has an ``aggregate``: arithmetic over
    ``sums``, the sums over units of ``value``, a list of numbers of fixed length. For example
    ``mean(sums[0:3] / sums[3:6])`` is the mean IoU of three classes whose ``value`` is three
    intersections and three unions. ``results/statistics/aggregation.py`` defines the arithmetic.
    """

    metric: str  # its name, without "metric."
    unit: str  # the column of samples that names the unit
    value: str  # the column of samples with its value
    at_most: float | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    aggregate: str = "mean"
