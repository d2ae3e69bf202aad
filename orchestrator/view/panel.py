"""Renders the panel of a running sweep with rich."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import ConsoleDimensions, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.planning.labels import Configuration, Labels

MAX_RUNNING = 8  # running trials to list, fewer in a small terminal
MIN_BAR, MAX_BAR = 10, 30  # width of the progress bar in columns
MAX_STAGES = 3  # running stages to list
MIN_LABEL = 12  # minimum width of a trial's parameters in columns


@dataclass(kw_only=True, slots=True)
class Running:
    """A trial that was handed to the engine."""

    configuration: Configuration
    is_waiting: bool = True  # for shared stages or a worker
    step: str = ""
    metrics: str = ""  # of its last step


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """The content of the panel."""

    counts: Mapping[str, int]  # status -> number of ended trials
    total: int  # number of trials
    share: float  # completed part of all work, 0 to 1
    clock: str
    left: str
    phase: str
    stages: Sequence[tuple[str, float]]  # running stages: label and progress
    num_stages_done: int
    num_stages: int | None  # None in a search, whose stages are not known beforehand
    stages_left: str
    metric: str
    best: tuple[str, Configuration] | None
    running: Sequence[Running]
    num_waiting: int
    labels: Labels


def render(panel: Panel, size: ConsoleDimensions) -> RenderableType:
    """Render a panel for a terminal of this size."""
    parts: list[RenderableType] = _head(panel, size.width)
    parts += _state(panel, size.width)
    shown = [running.configuration for running in panel.running]
    if panel.best is not None:
        value, configuration = panel.best
        head = f"best so far: {panel.metric} {value}  "
        others = [*shown, configuration]
        label = panel.labels.describe_among(configuration, others, size.width - len(head))
        parts.append(Text(head + label, style="bold"))
    if panel.running:
        parts.append(_table(panel, size))
    return Group(*parts)


def _head(panel: Panel, width: int) -> list[RenderableType]:
    """Render bar, counts and times, on one line if they fit."""
    more = [f"{panel.counts.get(s, 0)} {word}" for s, word in _WORDS if panel.counts.get(s)]
    counts = ", ".join([f"{panel.counts.get('finished', 0)}/{panel.total} trials finished", *more])
    times = ", ".join(part for part in (panel.clock, panel.left) if part)
    bar_width = width - len(counts) - len(times) - 6  # two columns after each cell
    table = Table.grid(padding=(0, 2, 0, 0))
    bar = ProgressBar(total=1.0, completed=panel.share, width=max(MIN_BAR, min(MAX_BAR, bar_width)))
    if bar_width >= MIN_BAR:
        table.add_row(bar, counts, Text(times, style="dim"))
        return [table]
    bar.width = max(MIN_BAR, min(MAX_BAR, width - len(times) - 4))
    table.add_row(bar, Text(times, style="dim"))
    return [table, Text(counts)]


_WORDS = (("stopped", "pruned"), ("failed", "failed"), ("cancelled", "cancelled"))


def _state(panel: Panel, width: int) -> list[RenderableType]:
    """Render what is being computed or waited for."""
    lines = []
    shown = panel.stages[:MAX_STAGES]
    for number, (label, share) in enumerate(shown, start=panel.num_stages_done + 1):
        done = f", {math.floor(100 * share)} %" if share > 0 else ""
        of = f" {number}/{panel.num_stages}" if panel.num_stages is not None else ""
        lines.append(f"computing shared stage {label}{of}{done}")
    if len(panel.stages) > len(shown):
        lines.append(f"and {len(panel.stages) - len(shown)} more shared stages")
    if panel.stages and panel.num_stages is None and panel.num_stages_done:
        lines[-1] += f" ({panel.num_stages_done} computed so far)"
    if panel.num_waiting:
        what = "for the shared stages" if panel.stages else "to start"
        left = f", {panel.stages_left}" if panel.stages and panel.stages_left else ""
        noun = "trial is" if panel.num_waiting == 1 else "trials are"
        lines.append(f"{panel.num_waiting} {noun} waiting {what}{left}")
    if panel.phase and not panel.stages and not panel.running:
        lines.append(panel.phase)
    return [Text(line, style="dim") for line in lines]


def _table(panel: Panel, size: ConsoleDimensions) -> RenderableType:
    """Render the running trials: step, last metric, and the parameters that differ."""
    max_rows = max(1, min(MAX_RUNNING, size.height - 9))
    rows = panel.running[:max_rows]
    has_metrics = any(running.metrics for running in rows)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("running", no_wrap=True)
    used = max(len("running"), *(len(running.step) for running in rows)) + 2
    if has_metrics:
        widest = max(len(running.metrics) for running in rows)
        heading = panel.metric
        if len(heading) > widest and used + len(heading) + 2 + 2 * MIN_LABEL > size.width:
            heading = "metric"
        table.add_column(heading, no_wrap=True, justify="right")
        used += max(len(heading), widest) + 2
    table.add_column("parameters", overflow="fold")
    shown = [running.configuration for running in rows]
    for running in rows:
        label_width = max(MIN_LABEL, size.width - used)
        label = panel.labels.describe_among(running.configuration, shown, label_width)
        cells = [running.step, *([running.metrics] if has_metrics else []), label]
        table.add_row(*(Text(cell) for cell in cells))
    if len(panel.running) > max_rows:
        more = Text(f"and {len(panel.running) - max_rows} more", style="dim")
        return Group(table, more)
    return table
