"""Show the list of sweeps in the terminal, one line each, with the columns that fit."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from results.tables.details import DetailTable

_DROPPED = ("model, data", "started", "size")  # hidden in this order if there is no room
_METRIC = "the metric's name"  # before the best value; it is hidden before any column


class OverviewView:
    """Shows name, state, trials and best of every sweep, and other columns if there is room."""

    def __init__(self, table: DetailTable) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.update(width=10_000)
        for hidden, tight in _narrower():
            view = self._render(hidden, tight)
            if Measurement.get(console, wide, view).maximum <= options.max_width:
                break
        yield view  # the narrowest form may break names
        for line in self._table.caption:
            yield Text(line, style="dim")
        if hidden:
            yield Text(f"A wider terminal also shows {', '.join(hidden)}.", style="dim")

    def _render(self, hidden: Collection[str], tight: bool) -> Table:
        view = Table(
            box=None if tight else box.SIMPLE_HEAD,
            padding=(0, 2, 0, 0) if tight else (0, 1),
            pad_edge=False,
        )
        shown = [i for i, name in enumerate(self._table.headings) if name not in hidden]
        for index in shown:
            heading = self._table.headings[index]
            right = heading in ("trials", "best", "size")
            view.add_column(
                heading, justify="right" if right else "left", no_wrap=index > 0, overflow="fold"
            )
        for row in self._table.rows:
            cells = dict(zip(self._table.headings, row, strict=True))
            if tight:
                cells["started"] = cells["started"][:7].rstrip()
            if _METRIC in hidden:
                cells["best"] = cells["best"].rsplit(" ", 1)[-1]
            view.add_row(*(Text(cells[self._table.headings[index]]) for index in shown))
        return view


def _narrower() -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield the hidden columns and whether columns are close together, from the widest form on."""
    yield (), False
    yield (), True
    for number in range(len(_DROPPED) + 1):
        yield (_METRIC, *_DROPPED[:number]), True
