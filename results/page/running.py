"""The trials that run now, with the curve of each so far."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from results.export.cells import Column
from results.figures.charts import ID_DIGITS, Chart
from results.json_values import to_json_value
from results.page.charts.chart import PageChart
from results.page.charts.curves import page_chart
from results.page.html import fill
from results.page.table import make_table
from results.text import plural

MAX_TRIALS = 50  # in the table
MAX_LINES = 8  # in the chart


@dataclass(frozen=True, kw_only=True)
class LiveTrial:
    """A trial that was handed to the engine."""

    trial_id: str
    parameters: str  # those that differ within the sweep
    step: str  # such as ``epoch 3/10``
    metrics: str  # of its last step
    curve: Sequence[tuple[float, float]]  # the main metric by step
    is_waiting: bool  # for shared stages or a worker


def running_json(trials: Sequence[LiveTrial], metric: str, step_unit: str) -> str:
    """Return the table and the chart of running trials as JSON: ``html`` and ``charts``.

    Args:
        trials: the trials, in order of their start.
        metric: the label of the main metric.
        step_unit: what the steps of a trial are.
    """
    started = [trial for trial in trials if not trial.is_waiting]
    shown = started[:MAX_TRIALS]
    columns = [
        Column(heading="trial", cells=[each.trial_id[:ID_DIGITS] for each in shown]),
        Column(heading="running", cells=[each.step for each in shown]),
        Column(heading=metric, cells=[each.metrics for each in shown]),
        Column(heading="parameters", cells=[each.parameters for each in shown]),
    ]
    num_waiting = len(trials) - len(started)
    notes = [f"And {len(started) - MAX_TRIALS} more."] if len(started) > MAX_TRIALS else []
    notes += [f"{plural(num_waiting, 'trial')} waiting to start."] if num_waiting else []
    html = fill("running.html", table=make_table("Running trials", columns, caption=notes))
    drawn = [each for each in shown if len(each.curve) > 1]
    charts = [_chart(drawn, metric, step_unit)] if drawn else []
    return json.dumps(to_json_value({"html": html, "charts": charts}), allow_nan=False)


def _chart(trials: Sequence[LiveTrial], metric: str, step_unit: str) -> PageChart:
    chart = Chart(label=metric)
    for trial in trials[:MAX_LINES]:
        chart.lines[f"{trial.trial_id[:ID_DIGITS]} {trial.parameters}"] = trial.curve
    if len(trials) > MAX_LINES:
        chart.notes = [f"The first {MAX_LINES} of {len(trials)} running trials."]
    return page_chart(chart, "running", step_unit)
