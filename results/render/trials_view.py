"""Show every trial of a sweep, one per row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult

from results.render.arrange import Variant, arrange
from results.render.grid import Column
from results.render.summary_view import explain_hidden_columns, param_column
from results.render.wrapping import Prose
from results.storage.manifest import Manifest
from results.tables.cell_text import format_value, heading
from results.text import plural

_UNFINISHED = {"stopped": "pruned", "interrupted": "interrupted"}


class TrialsView:
    """Shows the trials of a sweep: varying parameters, seed, status and main metric.

    Args:
        rows: the trials to show.
        manifest: of their sweep.
        digits: of their ids.
        columns: columns of ``trials`` to show in place of these; None for the default.
        num_all: trials of the sweep, if --where or --limit left some out; otherwise 0.
    """

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        manifest: Manifest,
        digits: int,
        columns: Sequence[str] | None = None,
        num_all: int = 0,
    ) -> None:
        self._rows, self._manifest, self._digits = rows, manifest, digits
        self._columns, self._num_all = columns, num_all

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self._rows:
            is_filtered = self._num_all > 0
            yield Prose([f"No trial {'fulfills --where' if is_filtered else 'has ended yet'}."])
            return
        rows = self._rows
        seconds = Column(heading="s", cells=[_seconds(row) for row in rows], name="seconds")
        is_default = self._columns is None
        arranged = arrange(
            options.max_width,
            first=Column(
                heading="trial",
                cells=[row["trial_id"][: self._digits] for row in rows],
                right=False,
            ),
            params=self._params() if is_default else (),
            variants=[Variant(columns=self._results() if is_default else self._chosen())],
            more=[seconds] if is_default else (),
        )
        yield arranged.grid
        reused = Counter(row["reused_from"] for row in rows if row["reused_from"])
        seeds = {row["seed"] for row in rows}
        yield Prose(
            [
                *(
                    [f"{len(rows):,} of {plural(self._num_all, 'trial')} shown."]
                    if self._num_all
                    else []
                ),
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

    def _chosen(self) -> list[Column]:
        """The columns that the user chose."""
        known = self._manifest.columns_by_key
        columns = []
        for name in self._columns or ():
            values = [row.get(name) for row in self._rows]
            if name in known and name.startswith(("metric.", "best.")):
                column = known[name]
                cells = [format_value(value, column.format) for value in values]
                columns.append(Column(heading=heading(column), cells=cells))
            elif isinstance(next((v for v in values if v is not None), None), datetime):
                cells = ["-" if v is None else f"{v:%Y-%m-%d %H:%M:%S}" for v in values]
                columns.append(Column(heading=name, cells=cells))
            elif name != "trial_id":
                label = known[name].label if name in known else name.removeprefix("param.")
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
