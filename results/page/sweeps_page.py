"""The list of all sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from results.page.html import fill
from results.page.links import ServedLinks
from results.page.progress import duration_text
from results.page.table import Cell, Heading, PageTable
from results.tables.overview import Overview, format_when
from results.text import plural, size_text

_HEADINGS = ("sweep", "state", "trials", "best", "left", "size", "started", "model, data")
_NUMBERS = ("trials", "best", "left", "size")


@dataclass(frozen=True, kw_only=True)
class ListedSweep:
    """A line of the list."""

    overview: Overview
    seconds_left: float | None = None  # of a running sweep

    @property
    def is_running(self) -> bool:
        """Whether it runs, as far as can be seen."""
        return self.overview.is_running


def sweeps_page(found: Sequence[ListedSweep], root: str, now: datetime, version: str = "") -> str:
    """Return the list of the sweeps under ``root``: running ones first, then the newest."""
    ordered = sorted(found, key=list_order)
    links = ServedLinks()
    rows = []
    for one in ordered:
        each = one.overview
        left = "" if one.seconds_left is None else duration_text(one.seconds_left)
        texts = [
            *(each.name, each.state, each.trials, each.best, left),
            *(size_text(each.size), format_when(each.started, now), each.sources),
        ]
        kinds = ["number" if heading in _NUMBERS else "" for heading in _HEADINGS]
        cells = [Cell(text=text, kind=kind) for text, kind in zip(texts, kinds, strict=True)]
        task, _, name = each.name.partition("/")
        rows.append([Cell(text=each.name, href=links.sweep(task, name)), *cells[1:]])
    headings = [Heading(text=text, is_numeric=text in _NUMBERS) for text in _HEADINGS]
    table = PageTable(
        title=plural(len(found), "sweep"),
        headings=headings,
        rows=rows,
        caption=[
            f"{one.overview.name}: {one.overview.problem}" for one in found if one.overview.problem
        ],
    )
    names = [one.overview.name for one in ordered]
    return fill("sweeps.html", table=table, root=root, names=names, version=version)


def list_order(one: ListedSweep) -> tuple[bool, float, str]:
    """Return the place of a sweep in the list as a sort key."""
    started = one.overview.started
    return not one.is_running, -started.timestamp() if started else 0.0, one.overview.name
