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

    Examples:
        >>> recall = Column(key="metric.recall", label="R@1", format="percent")
    """

    key: str
    """``param.<field>`` or ``metric.<name>``, as in the Parquet table."""
    label: str
    """The heading."""
    format: Literal["percent", "score", "number", "scientific", "integer", "text"] = "text"
    """``percent``: 0 to 1, printed times 100, with % in the heading. ``score``: 0 to 100, with two
    decimals. ``number``: four significant digits."""
    pick: Literal["last", "best"] = "last"
    """For a metric: the value of the last step, or of the best step."""
    detail: bool = False
    """Whether to show it only with published values, and not in the summary table."""
    chart: str = ""
    """For a metric: the name of the chart over steps that shows it as a line; "" for none."""
    log: bool = False
    """Whether that chart has a logarithmic axis."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """The number that a sweep is judged by.

    Examples:
        >>> accuracy = Metric(name="accuracy", label="accuracy", direction="maximize")
    """

    name: str
    """Its name without ``metric.``, such as "i2t_r1"."""
    label: str
    """Its name in tables and charts."""
    direction: Literal["maximize", "minimize"]
    """Whether larger or smaller values are better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PerSampleMetric:
    """How ``Step.samples`` give a metric unit by unit, for intervals and paired tests.

    The metric is the mean over units (queries, images) of ``value``, or of ``value <= at_most`` if
    that is given, over the rows that have the values in ``where``, by column.

    A metric that is not a mean, such as corpus BLEU or IoU, has an ``aggregate``: arithmetic over
    ``sums``, the sums over units of ``value``, a list of numbers of fixed length. For example
    ``mean(sums[0:3] / sums[3:6])`` is the mean IoU of three classes whose ``value`` is three
    intersections and three unions. ``results/statistics/aggregation.py`` defines the arithmetic.

    Examples:
        Recall at 1, from samples with a row per image and the rank of its best caption:

        >>> recall = PerSampleMetric(metric="recall", unit="image", value="rank", at_most=1)
    """

    metric: str
    """The metric's name, without ``metric.``."""
    unit: str
    """The column of samples that names the unit."""
    value: str
    """The column of samples that has the unit's value."""
    at_most: float | None = None
    """If given, a unit counts 1 where its value is at most this, otherwise 0."""
    where: Mapping[str, str] = field(default_factory=dict)
    """Which rows of samples belong to the metric: a column's name, and its value."""
    aggregate: str = "mean"
    """How the values form the metric: ``mean``, or a formula."""
