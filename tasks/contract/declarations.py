"""The declarations of a task's results: columns, metrics and metrics per sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of the summary table.

    A metric that is not a mean over samples can bring its own 95 % interval: add two columns with
    ``detail=True`` whose keys are the metric's key plus ``_low`` and ``_high``.

    Examples:
        >>> recall = Column(key="metric.recall", label="R@1", format="percent")
    """

    key: str
    """``param.<field>`` or ``metric.<name>``, as in the Parquet table."""
    label: str
    """The heading."""
    format: Literal["percent", "score", "number", "scientific", "integer", "text"] = "text"
    """``percent``: a value from 0 to 1, printed times 100, with % in the heading. ``score``: a
    value from 0 to 100, with two decimals. ``number``: four significant digits."""
    pick: Literal["last", "best"] = "last"
    """For a metric: whether to show the value of the last step or of the best step."""
    detail: bool = False
    """Whether to show the column only next to published values, not in the summary table."""
    chart: str = ""
    """For a metric: the title of the chart over steps that includes it; "" for none."""
    log: bool = False
    """Whether that chart has a logarithmic axis."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """The main metric of a task, which ranks the trials of a sweep.

    Examples:
        >>> accuracy = Metric(name="accuracy", label="accuracy", direction="maximize")
    """

    name: str
    """The name without ``metric.``, such as "i2t_r1"."""
    label: str
    """The name in tables and charts."""
    direction: Literal["maximize", "minimize"]
    """Whether larger or smaller values are better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PerSampleMetric:
    """How to compute a metric from ``Step.samples``, for intervals and paired tests.

    A unit is a query, an image or another sample. The metric is the mean of the column ``value``
    over units, or of ``value <= at_most`` if that is given. ``where`` selects the rows.

    A metric that is not a mean, such as corpus BLEU or IoU, needs a formula as its ``aggregate``.
    Its ``value`` is a list of numbers of fixed length, and the formula computes the metric from
    ``sums``, the sums of these lists over units. For example, with three intersections and three
    unions per unit, ``mean(sums[0:3] / sums[3:6])`` is the mean IoU of three classes. For pairs
    whose number depends on the data, ``sums[0::2]`` and ``sums[1::2]`` are all first and all second
    parts of a list [a0, b0, a1, b1, ...].
    ``results/statistics/aggregation.py`` defines the formulas.

    Examples:
        Recall at 1, from samples with one row per image and the rank of its best caption:

        >>> recall = PerSampleMetric(metric="recall", unit="image", value="rank", at_most=1)
    """

    metric: str
    """The metric's name, without ``metric.``."""
    unit: str
    """The column of samples that identifies the unit."""
    value: str
    """The column of samples with the unit's value."""
    at_most: float | None = None
    """If given, a unit counts as 1 if its value is at most this, and as 0 otherwise."""
    where: Mapping[str, str] = field(default_factory=dict)
    """The rows that belong to the metric: the values that they have in the given columns."""
    aggregate: str = "mean"
    """How to compute the metric from the values: ``mean``, or a formula."""
