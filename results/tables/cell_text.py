"""Format numbers, parameters and the cells of a summary table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from results.statistics import Estimate
from results.tables.rows import ID_DIGITS, SummaryRow, SummaryTable
from tasks.contract import Column, Scalar


def format_value(value: float | None, kind: str) -> str:
    """Format a number in the format of its column; percentages are values in 0..1."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if kind in ("percent", "score"):
        return f"{100 * value if kind == 'percent' else value:.2f}"
    if kind == "integer":
        return str(int(value))
    return f"{value:.4g}"


def heading(column: Column) -> str:
    """Return the heading of a column: its label, with a percent sign for percentages."""
    return f"{column.label}{' %' if column.format == 'percent' else ''}"


def format_plain(value: Scalar) -> str:
    """Format a parameter's value: ``1e-05`` as ``1e-5``, None as ``-``."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        text = f"{value:.4g}"
        if value and (abs(value) <= 0.01 or abs(value) >= 1e4):
            mantissa, exponent = f"{value:.3e}".split("e")
            text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
        return text
    # Quotes show spaces at the ends, and where a text of several words ends.
    return f'"{value}"' if isinstance(value, str) and (value == "" or " " in value) else str(value)


def id_digits(ids: Iterable[str]) -> int:
    """Return how many digits make the ids unique."""
    known = set(ids)
    digits = ID_DIGITS
    while len({each[:digits] for each in known}) < len(known):
        digits += 1
    return digits


def short_ids(ids: Sequence[str], digits: int) -> str:
    """Return the first of several ids and the number of the others: ``3f2a9c01 +2``."""
    more = f" +{len(ids) - 1}" if len(ids) > 1 else ""
    return f"{ids[0][:digits]}{more}" if ids else ""


def main_cell(row: SummaryRow, table: SummaryTable) -> str:
    """Format the main metric: mark, mean, deviation and front; ``-`` if there is none."""
    value = row.metrics.get(table.main.key)
    if value is None:
        return "-"
    text = format_value(value, table.main.format)
    if row.deviation is not None:
        text += f" ±{format_value(row.deviation, table.main.format)}"
    sign = {"best": "★ ", "tie": "≈ ", "untested": "? "}.get(row.mark, "")
    return sign + text + (" ◆" if row.on_front else "")


def metric_cell(row: SummaryRow, column: Column) -> str:
    """Format another metric, with its interval if the metrics ``_low`` and ``_high`` exist."""
    text = format_value(row.metrics.get(column.key), column.format)
    low, high = (row.metrics.get(f"{column.key}_{end}") for end in ("low", "high"))
    if low is None or high is None:
        return text
    return f"{text} [{_bound(low, column.format)}, {_bound(high, column.format)}]"


def interval_cell(row: SummaryRow, table: SummaryTable) -> str:
    """Format the 95 % interval of the main metric."""
    return format_interval(row.estimate, table.main.format)


def format_interval(found: Estimate | None, kind: str) -> str:
    """Return ``[low, high]``, or an empty string."""
    if found is None or math.isnan(found.low):
        return ""
    return f"[{_bound(found.low, kind)}, {_bound(found.high, kind)}]"


def _bound(value: float, kind: str) -> str:
    scale = {"percent": 100.0, "score": 1.0}.get(kind)
    return f"{value:.3g}" if scale is None else f"{scale * value:.1f}"


def report_cell(row: SummaryRow, table: SummaryTable) -> str:
    """Format the paper's numbers for a configuration, and the sign of its label."""
    text = ", ".join(format_value(value, table.main.format) for value in row.reported) or "-"
    return f"{text} {label_signs(table.rows)[row.label]}" if row.label else text


def label_signs(rows: Sequence[SummaryRow]) -> dict[str, str]:
    """Return a sign for each label of a table: †, ††, ..."""
    labels = dict.fromkeys(row.label for row in rows if row.label)
    return {label: "†" * number for number, label in enumerate(labels, start=1)}
