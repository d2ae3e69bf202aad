"""Show one sweep, or one of its trials, in detail."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from results.figures.charts import Chart, trial_charts
from results.figures.graphics import BLOCKS, Graphics
from results.figures.sample_images import LoadImage
from results.figures.terminal_chart import terminal_chart
from results.render.arrange import Variant, arrange
from results.render.detail_view import Facts
from results.render.grid import Column
from results.render.samples_view import samples_view
from results.render.summary_view import param_text
from results.render.trials_view import TrialsView
from results.render.wrapping import Prose, join_items
from results.storage.manifest import Manifest
from results.storage.reading import Sweep
from results.storage.schema import FIXED
from results.tables.cell_text import format_value, heading, id_digits
from results.tables.facts import sweep_facts, trial_facts
from results.tables.row_selection import EVERYTHING, RowSelection
from tasks.contract import RequestError

MAX_TRIALS = 200


def find_trial(sweep: Sweep, prefix: str, listing: str = "`show`") -> Mapping[str, Any]:
    """Return the trial whose id starts with ``prefix``.

    Args:
        sweep: the sweep.
        prefix: the start of the id.
        listing: the command that lists the sweep's trials, for the error message.

    Raises:
        RequestError: if no trial or several trials match.
    """
    found = [row for row in sweep.rows() if row["trial_id"].startswith(prefix)]
    if len(found) == 1:
        return found[0]
    name = sweep.manifest.name
    if found:
        ids = ", ".join(row["trial_id"] for row in found[:5])
        raise RequestError(
            f"several trial ids of {name} start with {prefix!r}: {ids}; add more characters"
        )
    raise RequestError(f"{name} has no trial {prefix!r}; {listing} lists them")


def choose_trials(
    sweep: Sweep, selection: RowSelection
) -> tuple[list[dict[str, Any]], list[str] | None]:
    """Return the trials that the user chose, and the columns; None for the default columns.

    Raises:
        RequestError: if an option names no column.
    """
    rows = sweep.rows()
    names = list(rows[0]) if rows else list(FIXED["trials"])
    return selection.rows(rows, names, lambda row: row), selection.column_names(names)


def render_sweep(
    sweep: Sweep, weights: str = "", selection: RowSelection = EVERYTHING
) -> RenderableType:
    """Render the origin and the trials of a sweep. ``weights`` describes its weights."""
    manifest = sweep.manifest
    rows, columns = choose_trials(sweep, selection)
    every = sweep.rows()
    digits = id_digits(row["trial_id"] for row in every)
    num_all = len(every) if len(rows) < len(every) else 0
    parts: list[RenderableType] = [
        Facts(sweep_facts(sweep, weights)),
        TrialsView(rows[:MAX_TRIALS], manifest, digits, columns, num_all),
    ]
    hidden = len(rows) - MAX_TRIALS
    if hidden > 0:
        parts.append(Prose([f"{hidden} further trials are in {sweep.path}/trials."], gap=True))
    return Group(*parts)


def render_trial(
    sweep: Sweep,
    trial: Mapping[str, Any],
    weights: str = "",
    load_image: LoadImage | None = None,
    graphics: Graphics | None = BLOCKS,
) -> RenderableType:
    """Render a trial: parameters, steps, curves, samples, and the reason of a failure.

    Args:
        sweep: the sweep.
        trial: the row of the trial.
        weights: describes its weights.
        load_image: loads images of the data set, which are shown next to the samples; None to
            show no images.
        graphics: how the terminal shows pictures; None to show none.
    """
    facts: dict[str, str | list[str]] = {**trial_facts(sweep, trial, weights)}
    values = {name: trial[f"param.{name}"] for name in sweep.manifest.params}
    facts["parameters"] = [f"{n} {param_text(v)}" for n, v in values.items() if v is not None]
    if None in values.values():
        facts["not set"] = [name for name, value in values.items() if value is None]
    parts: list[RenderableType] = [Facts(facts)]
    if trial["status"] == "failed":
        parts += [Text(), Prose([trial["reason"] or ""], "bold red"), Text(trial["log"] or "")]
    steps = sweep.steps_of(trial["trial_id"])
    if steps:
        parts += [Text(), _Steps(steps, sweep.manifest)]
    for chart in trial_charts(sweep, trial):
        parts += [Text(), _Chart(chart, sweep.manifest.step_unit)]
    samples = samples_view(sweep, trial, load_image, graphics)
    if samples is not None:
        parts += [Text(), samples]
    return Group(*parts)


class _Chart:
    """Shows a chart as wide as the terminal, up to 100 columns."""

    def __init__(self, chart: Chart, x_label: str) -> None:
        self._chart, self._x_label = chart, x_label

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield terminal_chart(self._chart, min(options.max_width, 100), x_label=self._x_label)


class _Steps:
    """Shows the steps of a trial with the metrics that fit; other final metrics are below."""

    def __init__(self, steps: Sequence[Mapping[str, Any]], manifest: Manifest) -> None:
        self._columns = manifest.columns_by_key
        self._steps = steps
        counts = {
            name: sum(row[name] is not None for row in steps)
            for name in steps[0]
            if name.startswith("metric.")
        }
        main = manifest.main_key
        often = [n for n, number in counts.items() if number > 1 or (number and len(steps) == 1)]
        self._often = sorted(often, key=lambda name: name != main)
        self._last = [name for name, number in counts.items() if number and name not in often]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = self._rows()
        arranged = arrange(
            options.max_width,
            first=Column(heading="step", cells=[str(row["at"]) for row in rows]),
            params=(),
            variants=[Variant(columns=[], tail=[self._seconds(rows)])],
            more=[self._column(name, rows) for name in self._often],
        )
        yield dataclasses.replace(arranged.grid, gap=False)
        final = [*self._often[arranged.num_more :], *self._last]
        if final:
            cells = [f"{self._label(n)} {self._cell(self._steps[-1], n)}" for n in final]
            yield Prose([f"At the end also: {join_items(cells, options.max_width)}."], "", gap=True)

    def _label(self, name: str) -> str:
        column = self._columns.get(name)
        return heading(column) if column else name.removeprefix("metric.")

    def _cell(self, row: Mapping[str, Any], name: str) -> str:
        column = self._columns.get(name)
        return format_value(row[name], column.format if column else "number")

    def _column(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Column:
        return Column(heading=self._label(name), cells=[self._cell(row, name) for row in rows])

    def _seconds(self, rows: Sequence[Mapping[str, Any]]) -> Column:
        return Column(heading="s", cells=[f"{row['seconds']:.2f}" for row in rows])

    def _rows(self) -> list[Mapping[str, Any]]:
        """Return all steps or, if there are many, the first ones and a selection of the others."""
        rows = list(self._steps)
        if len(rows) > 24:
            stride = math.ceil(len(rows) / 16)
            kept = {*range(4), *range(len(rows) - 1, 3, -stride)}
            rows = [row for index, row in enumerate(rows) if index in kept]
        return rows
