"""Show every trial of a sweep, one per row."""

from __future__ import annotations

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
from results.tables.trials import TrialColumn, id_column, trial_columns, trial_notes
from results.text import plural


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
        if self._columns is None:
            first, *others = trial_columns(rows, self._manifest, self._digits)
            seconds = others.pop()
            params = [param_column(one.heading, one.values) for one in others if one.is_param]
            results = [_column(one) for one in others if not one.is_param]
            more = [Column(heading=seconds.heading, cells=seconds.cells, name="seconds")]
        else:
            first = id_column(rows, self._digits)
            params, results, more = [], self._chosen(), []
        arranged = arrange(
            options.max_width,
            first=_column(first),
            params=params,
            variants=[Variant(columns=results)],
            more=more,
        )
        yield arranged.grid
        yield Prose(
            [
                *(
                    [f"{len(rows):,} of {plural(self._num_all, 'trial')} shown."]
                    if self._num_all
                    else []
                ),
                *trial_notes(rows),
                *explain_hidden_columns(arranged.hidden),
            ],
            gap=True,
        )

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


def _column(column: TrialColumn) -> Column:
    right = column.key not in ("trial_id", "status")
    return Column(heading=column.heading, cells=column.cells, right=right)
