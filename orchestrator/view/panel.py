"""The panel of a running sweep as rich renders it, from a snapshot of what is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import ConsoleDimensions, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.planning.labels import Configuration, Labels

MAX_RUNNING = 8  # trials with a line each, where the terminal is high enough
MIN_BAR, MAX_BAR = 10, 30  # columns
MAX_STAGES = 3  # that are being computed, with a line each
MIN_LABEL = 12  # columns that a trial's parameters get at least


@dataclass(kw_only=True, slots=True)
class Running:
    """A trial that the engine has."""

    configuration: Configuration
    is_waiting: bool = True  # for its shared stages or for a worker
    step: str = ""
    metrics: str = ""  # of its last step


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """What the panel shows."""

    counts: Mapping[str, int]  # of trials that ended, by status
    total: int
    share: float  # of all work
    clock: str
    left: str
    phase: str
    stages: Sequence[tuple[str, float]]  # under way: label and the share that is done
    num_stages_done: int
    num_stages: int | None  # None in a search, which learns of them on the way
    stages_left: str
    metric: str
    best: tuple[str, Configuration] | None
    running: Sequence[Running]
    num_waiting: int
    labels: Labels


def render(panel: Panel, size: ConsoleDimensions) -> RenderableType:
    """The panel for a terminal of this size."""
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
    """Bar, counts and times, on one line if they fit."""
    more = [f"{panel.counts.get(s, 0)} {word}" for s, word in _WORDS if panel.counts.get(s)]
    counts = ", ".join([f"{panel.counts.get('finished', 0)}/{panel.total} trials finished", *more])
    times = ", ".join(part for part in (panel.clock, panel.left) if part)
    room = width - len(counts) - len(times) - 6  # two columns after each
    table = Table.grid(padding=(0, 2, 0, 0))
    bar = ProgressBar(total=1.0, completed=panel.share, width=max(MIN_BAR, min(MAX_BAR, room)))
    if room >= MIN_BAR:
        table.add_row(bar, counts, Text(times, style="dim"))
        return [table]
    bar.width = max(MIN_BAR, min(MAX_BAR, width - len(times) - 4))
    table.add_row(bar, Text(times, style="dim"))
    return [table, Text(counts)]


_WORDS = (("stopped", "pruned"), ("failed", "failed"))


def _state(panel: Panel, width: int) -> list[RenderableType]:
    """What is being computed or waited for."""
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
    """The trials that run: how far each is, its last value, and what tells it from the others."""
    room = max(1, min(MAX_RUNNING, size.height - 9))
    rows = panel.running[:room]
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
        room_left = max(MIN_LABEL, size.width - used)
        label = panel.labels.describe_among(running.configuration, shown, room_left)
        cells = [running.step, *([running.metrics] if has_metrics else []), label]
        table.add_row(*(Text(cell) for cell in cells))
    if len(panel.running) > room:
        more = Text(f"and {len(panel.running) - room} more", style="dim")
        return Group(table, more)
    return table
