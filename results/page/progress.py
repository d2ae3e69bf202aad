"""How far a sweep is, and when it will probably end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from results.storage.manifest import Manifest
from results.tables.overview import num_planned


def done_and_planned(
    manifest: Manifest, rows: Sequence[Mapping[str, Any]]
) -> tuple[int, int | None]:
    """Return the number of trials that have ended, and of all; None where that is not known."""
    counts = Counter(row["status"] for row in rows)
    done = counts.total() - counts["interrupted"]
    planned = num_planned(manifest, counts)
    return done, planned if planned is not None and planned >= done else None


def seconds_left(
    manifest: Manifest, rows: Sequence[Mapping[str, Any]], now: datetime
) -> float | None:
    """Return the time that the remaining trials take at the pace of the last run so far.

    None before the run's first trial has ended, or where the number of trials is not known.
    """
    done, planned = done_and_planned(manifest, rows)
    try:
        began = datetime.fromisoformat(manifest.started)
    except ValueError:
        return None
    began = began if began.tzinfo else began.replace(tzinfo=UTC)
    ended: int = sum(
        row["ended"] is not None and row["ended"] > began and row["status"] != "interrupted"
        for row in rows
    )
    if planned is None or not ended:
        return None
    return (now - began).total_seconds() / ended * (planned - done)


def duration_text(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
