"""Every table of every task as text at four widths, to compare with ``tests/golden``."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

from golden_sweeps import GoldenSweep, make_sweep, trial_id
from rich.console import Console, Group, RenderableType
from rich.text import Text

from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from results.compare.cells import compare_cells
from results.compare.sweeps import compare
from results.compare.view import render_comparison
from results.render.claims_table import ClaimsView, ErrataView, claims_table, errata_table
from results.render.overview_view import OverviewView
from results.render.planned_view import PlannedTrials
from results.render.show import find_trial, render_sweep, render_trial
from results.render.sweep_tables import DetailView, render
from results.storage.reading import Sweep
from results.tables.looks import FinalRow, Look, final_table
from results.tables.overview import Overview, overview_table

FOLDER = Path(__file__).parent / "golden"
WIDTHS = (60, 80, 120, 160)
TASKS = ("retrieval", "captioning", "diffusion")

_BROKEN = {(1, 2): "failed", (2, 0): "failed", (2, 1): "failed", (2, 2): "failed"}
_SEARCHED = {(3, 0): "stopped", (5, 0): "failed", (7, 0): "interrupted", (8, 0): "stopped"}
_OUT = tempfile.TemporaryDirectory(prefix="golden-")


@cache
def sweep(made: GoldenSweep) -> Sweep:
    """A sweep, made once."""
    return make_sweep(Path(_OUT.name), made)


class _Plan(dict):  # type: ignore[type-arg]
    """Statuses that can be hashed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


def views() -> Iterator[tuple[str, Callable[[], RenderableType]]]:
    """The name of each file, and what it shows."""
    for task in TASKS:
        paper = GoldenSweep(task, "paper")
        seeds = GoldenSweep(task, "seeds", seeds=3, status=_Plan(_BROKEN))
        grid = GoldenSweep(task, "grid", space="grid")
        search = GoldenSweep(task, "search", space="search", status=_Plan(_SEARCHED))
        many = GoldenSweep(task, "many", space="search", trials=30, seeds=2)
        yield f"{task}-paper", partial(lambda a: render(sweep(a)), paper)
        yield f"{task}-seeds", partial(lambda a: render(sweep(a)), seeds)
        yield f"{task}-grid", partial(lambda a: render(sweep(a)), grid)
        yield f"{task}-search", partial(lambda a: render(sweep(a)), search)
        yield f"{task}-many", partial(lambda a: render(sweep(a)), many)
        yield f"{task}-show-search", partial(lambda a: render_sweep(sweep(a)), search)
        yield f"{task}-trial", partial(lambda a: _trial(a, 0), search)
        yield f"{task}-compare", partial(_compare, paper, seeds)
        other = GoldenSweep(
            task, "search-again", space="search", better=0.1, status=_Plan(_SEARCHED)
        )
        yield f"{task}-compare-search", partial(_compare, search, other)
        yield f"{task}-check", partial(lambda a: _check(sweep(a)), seeds)
        yield f"{task}-against", partial(_against, search, other)
    yield "list", _list
    yield "retrieval-final", lambda: _final(sweep(GoldenSweep("retrieval", "paper")))
    retrieval = GoldenSweep("retrieval", "grid", space="grid")
    yield "retrieval-grid-all", lambda: render(sweep(retrieval), max_rows=None)
    yield "retrieval-show-grid", lambda: render_sweep(sweep(retrieval))
    yield "retrieval-dry-run", lambda: _planned(GoldenSweep("retrieval", "plan", space="grid"))
    yield "captioning-zeros", lambda: render(sweep(GoldenSweep("captioning", "zeros", zero=True)))
    searched = GoldenSweep("retrieval", "search", space="search", status=_Plan(_SEARCHED))
    yield "retrieval-trial-failed", lambda: _trial(searched, 5)


def _list() -> RenderableType:
    started = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    lines = (
        ("retrieval/paper", "complete", "8/8", "i2t_r1 56.80", 1_350_000),
        ("captioning/search-random-num_images-352", "running", "19/60", "bleu4 21.05", 4_200_000),
        ("diffusion/paper", "2 failed", "4/6", "unseen_attributes 0.8412", 2_450_000_000),
    )
    found = [
        Overview(
            name=name,
            state=state,
            trials=trials,
            best=best,
            size=size,
            started=started,
            sources="blip-scenes, scenes",
        )
        for name, state, trials, best, size in lines
    ]
    return OverviewView(overview_table(found, started))


def _final(found: Sweep) -> RenderableType:
    row = FinalRow(
        table="Table 2",
        configuration="lr 1e-5, weight decay 0",
        mark="best",
        trial_ids=["a" * 16],
        chosen_on="val",
        val=0.568,
        test=0.552,
        val_interval=(0.542, 0.593),
        test_interval=(0.526, 0.578),
        difference_interval=(-0.02, 0.052),
    )
    tie = replace(row, configuration="lr 6e-5, weight decay 1e-3", mark="tie", test=0.559)
    looks = [
        Look(split="test", began=f"2026-01-0{day}T03:04", ended=ended, command=[], trials=[])
        for day, ended in ((2, None), (3, "2026-01-03T03:05"))
    ]
    looks[1].rows = [row, tie]
    table = final_table(found, looks)
    assert table is not None
    return DetailView(table)


def _planned(made: GoldenSweep) -> RenderableType:
    request = Request(task=made.task, space=made.space, settings=("precision=float32",))
    trials = make_plan(request).trials
    for number, trial in enumerate(trials):
        vars(trial)["id"] = trial_id(made, number, 0)  # the real one changes with every version
    names = ["start", "lr", "weight_decay", "epochs", "temperature"]
    return PlannedTrials(trials, names, [number < 3 for number in range(len(trials))])


def _trial(made: GoldenSweep, number: int) -> RenderableType:
    found = sweep(made)
    return render_trial(found, find_trial(found, trial_id(made, number, 0)[:8]))


def _compare(first: GoldenSweep, second: GoldenSweep) -> RenderableType:
    tables = compare(sweep(first), sweep(second), (first.name, second.name))
    return render_comparison(*tables)


def _check(found: Sweep) -> RenderableType:
    claims, errata = claims_table(found), errata_table(found)
    assert claims is not None
    more: list[RenderableType] = [Text(), ErrataView(errata)] if errata else []
    return Group(ClaimsView(claims), *more)


def _against(first: GoldenSweep, second: GoldenSweep) -> RenderableType:
    names = (first.name, second.name)
    return DetailView(compare_cells(sweep(first), sweep(second), names).table)


def printed(shown: RenderableType, width: int) -> str:
    """The text that a terminal of this width without colors shows."""
    console = Console(width=width, record=True, color_system=None, file=io.StringIO())
    console.print(shown)
    lines = (line.rstrip() for line in console.export_text().split("\n"))
    return "\n".join(lines).replace(_OUT.name, "runs").rstrip("\n") + "\n"


def snapshot(shown: RenderableType) -> str:
    """The content of one file: the text at every width."""
    parts = [f"===== {width} columns =====\n{printed(shown, width)}" for width in WIDTHS]
    return "\n".join(parts)
