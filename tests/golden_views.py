"""Every table of every task, at four widths, as text: what ``tests/golden`` holds."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from golden_sweeps import Made, make_sweep, trial_id
from rich.console import Console, Group, RenderableType
from rich.text import Text

from orchestrator.sweep import Request, make_plan
from results.cells import compare_cells
from results.claims_table import ClaimsView, ErrataView, claims_table, errata_table
from results.compare import compare
from results.compare_view import render_comparison
from results.reading import Sweep
from results.render.planned_view import PlannedTrials
from results.show import find_trial, render_sweep, render_trial
from results.tables import DetailView, render

FOLDER = Path(__file__).parent / "golden"
WIDTHS = (60, 80, 120, 160)
TASKS = ("retrieval", "captioning", "diffusion")

_BROKEN = {(1, 2): "failed", (2, 0): "failed", (2, 1): "failed", (2, 2): "failed"}
_SEARCHED = {(3, 0): "stopped", (5, 0): "failed", (7, 0): "interrupted", (8, 0): "stopped"}
_OUT = tempfile.TemporaryDirectory(prefix="golden-")


@cache
def sweep(made: Made) -> Sweep:
    """A sweep, made once."""
    return make_sweep(Path(_OUT.name), made)


class _Plan(dict):  # type: ignore[type-arg]
    """Statuses that can be part of a key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


def views() -> Iterator[tuple[str, Callable[[], RenderableType]]]:
    """The name of each file, and what it shows."""
    for task in TASKS:
        paper = Made(task, "paper")
        seeds = Made(task, "seeds", seeds=3, status=_Plan(_BROKEN))
        grid = Made(task, "grid", space="grid")
        search = Made(task, "search", space="search", status=_Plan(_SEARCHED))
        many = Made(task, "many", space="search", trials=30, seeds=2)
        yield f"{task}-paper", lambda a=paper: render(sweep(a))
        yield f"{task}-seeds", lambda a=seeds: render(sweep(a))
        yield f"{task}-grid", lambda a=grid: render(sweep(a))
        yield f"{task}-search", lambda a=search: render(sweep(a))
        yield f"{task}-many", lambda a=many: render(sweep(a))
        yield f"{task}-show-search", lambda a=search: render_sweep(sweep(a))
        yield f"{task}-trial", lambda a=search: _trial(a, 0)
        yield f"{task}-compare", lambda a=paper, b=seeds: _compare(a, b)
        other = Made(task, "search-again", space="search", better=0.1, status=_Plan(_SEARCHED))
        yield f"{task}-compare-search", lambda a=search, b=other: _compare(a, b)
        yield f"{task}-check", lambda a=seeds: _check(sweep(a))
        yield f"{task}-against", lambda a=search, b=other: _against(a, b)
    retrieval = Made("retrieval", "grid", space="grid")
    yield "retrieval-grid-all", lambda: render(sweep(retrieval), max_rows=None)
    yield "retrieval-show-grid", lambda: render_sweep(sweep(retrieval))
    yield "retrieval-dry-run", lambda: _planned(Made("retrieval", "plan", space="grid"))
    yield "captioning-zeros", lambda: render(sweep(Made("captioning", "zeros", zero=True)))
    searched = Made("retrieval", "search", space="search", status=_Plan(_SEARCHED))
    yield "retrieval-trial-failed", lambda: _trial(searched, 5)


def _planned(made: Made) -> RenderableType:
    request = Request(task=made.task, space=made.space, settings=("precision=float32",))
    trials = make_plan(request).trials
    for number, trial in enumerate(trials):
        vars(trial)["id"] = trial_id(made, number, 0)  # the real one changes with every version
    names = ["start", "lr", "weight_decay", "epochs", "temperature"]
    return PlannedTrials(trials, names, [number < 3 for number in range(len(trials))])


def _trial(made: Made, number: int) -> RenderableType:
    found = sweep(made)
    return render_trial(found, find_trial(found, trial_id(made, number, 0)[:8]))


def _compare(first: Made, second: Made) -> RenderableType:
    tables = compare(sweep(first), sweep(second), (first.name, second.name))
    return render_comparison(*tables)


def _check(found: Sweep) -> RenderableType:
    claims, errata = claims_table(found), errata_table(found)
    assert claims is not None
    more = [Text(), ErrataView(errata)] if errata else []
    return Group(ClaimsView(claims), *more)


def _against(first: Made, second: Made) -> RenderableType:
    names = (first.name, second.name)
    return DetailView(compare_cells(sweep(first), sweep(second), names).table)


def printed(shown: RenderableType, width: int) -> str:
    """What a terminal of this width, without colors, shows."""
    console = Console(width=width, record=True, color_system=None, file=io.StringIO())
    console.print(shown)
    lines = (line.rstrip() for line in console.export_text().split("\n"))
    return "\n".join(lines).replace(_OUT.name, "runs").rstrip("\n") + "\n"


def snapshot(shown: RenderableType) -> str:
    """One file: what is shown at every width."""
    parts = [f"===== {width} columns =====\n{printed(shown, width)}" for width in WIDTHS]
    return "\n".join(parts)
