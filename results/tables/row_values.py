"""The values of a summary row by column: what CSV and JSON hold, and what ``--where`` names."""

from __future__ import annotations

from results.statistics import Estimate
from results.tables.rows import SummaryRow
from tasks.contract import Scalar

Record = dict[str, Scalar]


def bounds(name: str, found: Estimate | None) -> Record:
    """The bounds of an interval as two columns."""
    return {
        f"{name}_low": found.low if found else None,
        f"{name}_high": found.high if found else None,
    }


def row_values(row: SummaryRow, main: str) -> Record:
    """A row by the columns of an exported CSV file; ``main`` is the key of the main metric."""
    names = ["published", *(f"published_{n}" for n in range(2, len(row.reported) + 1))]
    published = dict.fromkeys(names) | dict(zip(names, row.reported, strict=False))
    return {
        "trial_ids": " ".join(row.trial_ids),
        **{f"param.{name}": value for name, value in row.params.items()},
        "status": row.status or "finished",
        "reason": row.reason,
        "num_seeds": row.num_seeds,
        main: row.metrics.get(main),
        **bounds("interval", row.estimate),
        "deviation": row.deviation,
        "mark": row.mark,
        "adjusted_p": row.p_value,
        **published,
        "label": row.label,
        "on_front": row.on_front,
        **{key: value for key, value in row.metrics.items() if key != main},
    }
