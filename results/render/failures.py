"""Show the failed trials of a sweep, grouped by reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult

from results.render.detail_view import text_grid
from results.render.wrapping import Prose
from results.storage.reading import Sweep
from results.tables.cell_text import id_digits

_MAX_REASONS = 10


class Failures:
    """Shows one row per reason: the first failed trial and the number of the others."""

    def __init__(self, failed: Sequence[Mapping[str, Any]], sweep: Sweep) -> None:
        self._failed, self._sweep = failed, sweep

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        digits = id_digits(row["trial_id"] for row in self._sweep.rows())
        reasons = list(by_reason(self._failed).items())
        rows = [
            [_ids(same, digits), seeds_text(same), reason]
            for reason, same in reasons[:_MAX_REASONS]
        ]
        yield Prose(["Failed trials"], "bold")
        yield text_grid(["trial", "seed", "reason"], rows, options.max_width)
        name = self._sweep.manifest.name
        hidden = len(reasons) - len(rows)
        lines = (
            [f"{hidden} further reasons; `show {name}` lists every trial."] if hidden > 0 else []
        )
        yield Prose([*lines, f"`show {name} TRIAL` prints a trial's log."], gap=True)


def _ids(rows: Sequence[Mapping[str, Any]], digits: int) -> str:
    """Return ``3f2a9c01``, or ``3f2a9c01 and 2 more``."""
    more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
    return f"{rows[0]['trial_id'][:digits]}{more}"


def by_reason(failed: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The trials that failed with each reason."""
    reasons: dict[str, list[Mapping[str, Any]]] = {}
    for row in failed:
        reasons.setdefault(row["reason"] or "", []).append(row)
    return reasons


def seeds_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """``0, 1``: the seeds of these trials."""
    return ", ".join(map(str, sorted({row["seed"] for row in rows})))
