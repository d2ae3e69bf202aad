"""Show every trial of a sweep, one per row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult

from results.render.arrange import Variant, arrange
from results.render.grid import Column
from results.render.summary_view import explain_hidden_columns, param_column
from results.render.wrapping import Prose
from results.storage.manifest import Manifest
from results.tables.cell_text import format_value, heading

_UNFINISHED = {"stopped": "pruned", "interrupted": "interrupted"}


class TrialsView:
    """Shows the trials of a sweep: varying parameters, seed, status and main metric."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], manifest: Manifest, digits: int) -> None:
        self._rows, self._manifest, self._digits = rows, manifest, digits

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self._rows:
            yield Prose(["No trial has ended yet."])
            return
        rows = self._rows
        arranged = arrange(
            options.max_width,
            first=Column(
                heading="trial",
                cells=[row["trial_id"][: self._digits] for row in rows],
                right=False,
            ),
            params=self._params(),
            variants=[Variant(columns=self._results())],
            more=[Column(heading="s", cells=[_seconds(row) for row in rows], name="seconds")],
        )
        yield arranged.grid
        reused = Counter(row["reused_from"] for row in rows if row["reused_from"])
        seeds = {row["seed"] for row in rows}
        yield Prose(
            [
                *(
                    [f"Every trial has seed {rows[0]['seed']}."]
                    if len(seeds) == 1 < len(rows)
                    else []
                ),
                *(_reused(number, origin) for origin, number in reused.items()),
                *explain_hidden_columns(arranged.hidden),
            ],
            gap=True,
        )

    def _params(self) -> list[Column]:
        known = self._manifest.columns_by_key
        names = list(self._manifest.params)
        keys = [key for key in known if key.startswith("param.")]
        keys += [f"param.{name}" for name in names if f"param.{name}" not in known]
        columns = []
        for source in ("model", "data"):
            if len({row[f"{source}_fingerprint"] for row in self._rows}) > 1:
                values = [row[source] for row in self._rows]
                columns.append(param_column(source, values))
        for key in keys:
            values = [row.get(key) for row in self._rows]
            if len({repr(value) for value in values}) > 1:
                label = known[key].label if key in known else key.removeprefix("param.")
                columns.append(param_column(label, values))
        return columns

    def _results(self) -> list[Column]:
        main = self._manifest.main_column
        seeds = [str(row["seed"]) for row in self._rows]
        return [
            *([Column(heading="seed", cells=seeds)] if len(set(seeds)) > 1 else []),
            Column(heading="status", cells=[trial_status(row) for row in self._rows], right=False),
            Column(
                heading=heading(main),
                cells=[format_value(row.get(main.key), main.format) for row in self._rows],
            ),
        ]


def _reused(number: int, origin: str) -> str:
    return f"{number} trial{' is' if number == 1 else 's are'} reused from {origin}."


def trial_status(row: Mapping[str, Any]) -> str:
    """Return the status in one word: ``finished``, ``reused``, ``pruned@1``, ``failed``."""
    status = str(row["status"])
    if status in _UNFINISHED:
        return f"{_UNFINISHED[status]}@{row['num_steps'] or 0}"
    return "reused" if status == "finished" and row["reused_from"] else status


def _seconds(row: Mapping[str, Any]) -> str:
    return "-" if row["seconds"] is None else f"{row['seconds']:.1f}"
